import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import process from "node:process";
import test from "node:test";
import { allowFiles, chooseCpus, pinCommand } from "./cpus.ts";

test("the first two CPUs that may be used are for relay and generator", () => {
  assert.deepEqual(chooseCpus("0-1"), { server: 0, generator: 1 });
  assert.deepEqual(chooseCpus("0-127"), { server: 0, generator: 1 });
  assert.deepEqual(chooseCpus("3,8"), { server: 3, generator: 8 });
  assert.deepEqual(chooseCpus("2,4-7"), { server: 2, generator: 4 });
});

test("one CPU cannot be shared out, nor can an unknown list", () => {
  for (const allowed of ["0", "5", "", "none", "3-3"]) assert.equal(chooseCpus(allowed), undefined, allowed);
});

test("a command is pinned to its CPU, and without one left as it is", () => {
  assert.deepEqual(pinCommand(1, ["relay", "-a"]), ["taskset", "-c", "1", "relay", "-a"]);
  assert.deepEqual(pinCommand(undefined, ["relay"]), ["relay"]);
});

test(
  "a command gets its arguments as they are, and its limit",
  { skip: process.platform === "win32" },
  () => {
    const [program = "", ...args] = allowFiles(64, [
      "sh",
      "-c",
      'ulimit -n; printf "%s|" "$@"',
      "sh",
      "a b",
      '"c"',
    ]);
    assert.equal(execFileSync(program, args, { encoding: "utf8" }), '64\na b|"c"|');
  },
);
