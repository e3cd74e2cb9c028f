/**
 * Unmodified Tailscale clients against the fleet of `npm start`.
 *
 * DERPKIT_TAILNET_CHECK names the folder of `tailnet-check` and the Tailscale programs that it drives.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";

const root = path.join(import.meta.dirname, "..");
const programs = process.env["DERPKIT_TAILNET_CHECK"];
const checks = ["join", "bulk", "ping", "netcheck-stun", "netcheck-https", "upgrade-direct"];

const skip = programs === undefined && "DERPKIT_TAILNET_CHECK does not name the folder of tailnet-check";

test(
  "Tailscale clients find, measure and use the relays of npm start",
  { skip, timeout: 900_000 },
  async (t) => {
    const project = await copyProject(t);
    const derpMap = path.join(project, "derp-map.json");
    await writeFile(derpMap, await startFleet(t, project));
    const args = ["-derpmap", derpMap, "-only", checks.join(","), "-no-skip"];
    const check = spawn(path.join(programs ?? "", "tailnet-check"), args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [output, errors, [status]] = await Promise.all([
      text(check.stdout),
      text(check.stderr),
      once(check, "exit"),
    ]);
    t.diagnostic(output.trimEnd());
    assert.equal(status, 0, `${output}\n${errors}`);
    for (const name of checks) assert.match(output, new RegExp(`^PASS +${name}\\b`, "m"));
  },
);

/** A project of its own: the example stack with ports and pins that nobody else uses. */
async function copyProject(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  for (const file of ["Pulumi.yaml", "Pulumi.local.yaml"])
    await cp(path.join(root, file), path.join(folder, file));
  return folder;
}

/** Starts the project's fleet until the end of the test. @returns the document that `--json` prints when it is proven */
async function startFleet(t: TestContext, project: string): Promise<string> {
  const fleet = spawn(process.execPath, [path.join(root, "scripts", "run.mjs"), "start", "--json"], {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(fleet, "exit");
  t.after(async () => {
    fleet.kill("SIGINT");
    await exited;
  });
  return await Promise.race([readDocument(fleet), failWith(fleet, exited)]);
}

async function readDocument(fleet: ChildProcess): Promise<string> {
  let printed = "";
  for await (const chunk of fleet.stdout?.setEncoding("utf8") ?? []) {
    printed += String(chunk);
    if (printed.endsWith("\n}\n")) return printed;
  }
  throw new Error(`npm start ended without a document: ${printed}`);
}

async function failWith(fleet: ChildProcess, exited: Promise<unknown>): Promise<never> {
  const errors = fleet.stderr === null ? "" : await text(fleet.stderr);
  await exited;
  throw new Error(`npm start ended: ${errors}`);
}
