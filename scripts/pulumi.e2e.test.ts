import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";

const launcher = join(import.meta.dirname, "run.mjs");
const skip = process.platform === "win32" && "the stand-in for Pulumi's CLI is a shell script";

/** Runs `npm run pulumi -- ARGS` with this script, or nothing, as Pulumi's CLI. */
function pulumi(t: TestContext, script: string | undefined, ...args: readonly string[]) {
  const folder = temporaryFolder(t);
  if (script !== undefined) writeFileSync(join(folder, "pulumi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: script === undefined ? folder : `${folder}:${process.env["PATH"]}` };
  return spawnSync(process.execPath, [launcher, "pulumi", ...args], { encoding: "utf8", env });
}

test("the CLI gets the arguments as they are, and finds the kit's Node.js first", { skip }, (t) => {
  const { stdout } = pulumi(t, 'printf "%s|" "$@"; command -v node', "up", "--help", "--json", "a b", "");
  assert.equal(stdout, `up|--help|--json|a b||${join(dirname(process.execPath), "node")}\n`);
});

test("the CLI's exit status is passed on, also that of a signal", { skip }, (t) => {
  assert.equal(pulumi(t, "exit 0", "up").status, 0);
  assert.equal(pulumi(t, "exit 255", "up").status, 255);
  assert.equal(pulumi(t, "kill -TERM $$", "up").status, 128 + 15);
});

test("without the CLI one is told where to get it", (t) => {
  const { status, stdout, stderr } = pulumi(t, undefined, "up");
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /Pulumi CLI is not installed.*\n.*pulumi\.com.*npm run plan/);
});
