import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import process from "node:process";
import test from "node:test";
import { allowFiles, chooseCpus, pinCommand } from "./cpus.ts";

const skip = process.platform === "win32";

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

/** What a command prints that was run under a limit of so many files, and may open at least 64. */
function runLimited(soft: number, ...command: readonly string[]): string {
  const raised = allowFiles(64, command);
  return execFileSync("sh", ["-c", `ulimit -Sn ${soft} && exec "$@"`, "sh", ...raised], { encoding: "utf8" });
}

test("a limit of open files is raised to what is needed, and one that is higher stays", { skip }, () => {
  assert.equal(runLimited(50, "sh", "-c", "ulimit -n"), "64\n");
  assert.equal(runLimited(100, "sh", "-c", "ulimit -n"), "100\n");
});

test("a command gets its arguments as they are", { skip }, () => {
  assert.equal(runLimited(50, "printf", "%s|", "a b", '"c"', "$d", ""), 'a b|"c"|$d||');
});
