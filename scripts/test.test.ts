import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { testArguments, unitTests } from "./test.ts";

const patternsOf = (args: readonly string[]) =>
  testArguments(args).filter((arg) => !arg.startsWith("--test"));

test("without arguments every folder's tests are chosen", () => {
  const folders = ["relay", "infra", "scripts", "interop/conformance"];
  assert.deepEqual(
    patternsOf([]),
    folders.map((folder) => `${folder}/**/*.test.ts`),
  );
});

test("folders and files choose tests, and everything else goes to node --test before them", () => {
  assert.deepEqual(patternsOf(["relay/core/", "scripts/test.test.ts"]), [
    "relay/core/**/*.test.ts",
    "scripts/test.test.ts",
  ]);
  assert.deepEqual(testArguments(["relay/core", "--test-only"]).slice(-2), [
    "--test-only",
    "relay/core/**/*.test.ts",
  ]);
});

test("a pattern that files match chooses those, and one that none does is an option's value", () => {
  const option = ["--test-name-pattern", "an? .*"];
  assert.deepEqual(testArguments([...option, unitTests.tools]).slice(-3), [...option, unitTests.tools]);
  assert.deepEqual(testArguments([unitTests.tools, ...option]).slice(-3), [...option, unitTests.tools]);
});

test("who runs a command as a process is no unit test, and everything else below the three folders is", () => {
  const root = path.join(import.meta.dirname, "..");
  const read = (name: string): string => readFileSync(path.join(root, name), "utf8");
  const found = Object.values(unitTests).flatMap((glob) => globSync(glob, { cwd: root }));
  const tests = globSync("{relay,infra,scripts}/**/*.test.ts", { cwd: root });
  const isWhole = (name: string): boolean => /run\.mjs/.test(read(name));
  assert.ok(found.length > 200);
  assert.deepEqual(tests.filter((name) => !found.includes(name)).sort(), tests.filter(isWhole).sort());
});

test("a test of foreign programs may take longer", () => {
  const limitOf = (...args: string[]) => testArguments(args).find((arg) => arg.startsWith("--test-timeout"));
  assert.equal(limitOf(), limitOf("relay/core"));
  assert.notEqual(limitOf(), limitOf("interop/keys.test.ts"));
  assert.equal(limitOf("interop"), limitOf("./interop/keys.test.ts", "relay/core"));
});
