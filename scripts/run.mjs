#!/usr/bin/env node
// Starts a command of the kit under a Node.js that runs TypeScript as it is. Plain JavaScript on purpose: an older
// Node.js has to get as far as the sentence that says what to do.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

const wanted = 24;
const args = process.argv.slice(2);

if (Number(process.versions.node.split(".")[0]) >= wanted) {
  const sources = existsSync(new URL("./derpkit.ts", import.meta.url));
  // What was compiled once is kept: a command begins in half the time.
  if (sources) module.enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/derpkit"));
  // The sources, or what the build made of them.
  const { main } = await import(sources ? "./derpkit.ts" : "./derpkit.js");
  await main(args);
} else {
  const node = pinnedNode();
  if (node === undefined) giveUp(`this is ${process.versions.node}`);
  else startUnder(node);
}

/** Runs the command under another Node.js and ends as it ends. */
function startUnder(node) {
  // The channel carries no message: it closes when this process is killed, and the command then stops what it started.
  const child = spawn(node, [import.meta.filename ?? process.argv[1], ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  // A supervisor's signal comes here only. A terminal's reaches the child as well, which takes the two for one.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // As with musl, where the dynamic loader that the pinned one names does not exist.
  child.on("error", (error) => giveUp(`the pinned one does not run here (${error.message})`));
  child.on("exit", (status, signal) => {
    process.exitCode = status ?? 128 + constants.signals[signal];
  });
}

function giveUp(reason) {
  process.stderr.write(
    `derpkit needs Node.js ${wanted}, and ${reason}. Run \`npm ci\` without --omit=optional, ` +
      `which brings the pinned one on Linux and Windows, or install Node.js ${wanted} (https://nodejs.org).\n`,
  );
  process.exitCode = 2;
}

/** The Node.js that npm installed beside the kit for this platform, if there is one. */
function pinnedNode() {
  const platform = process.platform === "win32" ? "win" : process.platform;
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${platform}-${process.arch}/package.json`);
    return join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node");
  } catch {
    return undefined;
  }
}
