/** The kit as a stranger gets it: packed by npm, to be installed elsewhere. Needs npm's registry. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const root = path.join(import.meta.dirname, "..");

/** Runs a program that has to succeed, with the test's own Node.js first in PATH. @returns its standard output */
export function runProgram(
  cwd: string,
  program: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: {
      ...process.env,
      PATH: [path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter),
      ...more,
    },
    encoding: "utf8",
  });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** Builds and packs a copy of the sources. @returns the archive's path, in the folder */
export function packKit(folder: string): string {
  const checkout = path.join(folder, "checkout");
  for (const part of readdirSync(root)) {
    if (![".git", "node_modules", "dist", ".derpkit"].includes(part))
      cpSync(path.join(root, part), path.join(checkout, part), { recursive: true });
  }
  symlinkSync(path.join(root, "node_modules"), path.join(checkout, "node_modules"));
  runProgram(checkout, process.execPath, ["scripts/run.mjs", "build"]);
  runProgram(checkout, "npm", ["pack", "--silent", "--pack-destination", folder]);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  assert.ok(archive);
  return path.join(folder, archive);
}

/** Installs what a folder's package.json names, and writes the lockfile. */
export function installPackages(project: string): void {
  runProgram(project, "npm", ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
}
