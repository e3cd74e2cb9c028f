import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import test from "node:test";
import { parseBunReport, parseReport } from "./results.ts";

const reporter = path.join(import.meta.dirname, "reporter.ts");

const suite = `
import assert from "node:assert/strict";
import { describe, test } from "node:test";
describe("1. Given a, then b.", { concurrency: true }, () => {
  describe("a case", () => test("node", (t) => t.diagnostic("differs: Q3")));
  test("bun", { todo: "finding" }, () => assert.equal(1, 2, "one is not two"));
});
test("2. Given c, then d.", { skip: "later" }, () => {});
test("3. Given e, then f.", { todo: true }, () => {});
`;

test("the reporter says of each test where it stands, how it ended, and what it threw and said", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "derpkit-reporter-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, "a.test.mjs"), suite);
  const args = ["--test", `--test-reporter=${reporter}`, "a.test.mjs"];
  // Of the runner that this test itself is part of.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const report = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env }, (_error, stdout) => resolve(stdout));
  });
  const base = { file: "a.test.mjs", runtime: "node", notes: [] };
  assert.deepEqual(parseReport(report), [
    { ...base, names: ["1. Given a, then b.", "a case", "node"], passed: true, notes: ["differs: Q3"] },
    {
      ...base,
      names: ["1. Given a, then b.", "bun"],
      passed: false,
      todo: "finding",
      fault: { name: "AssertionError", message: "one is not two\n\n1 !== 2\n" },
    },
    { ...base, names: ["2. Given c, then d."], passed: true, skip: "later" },
    { ...base, names: ["3. Given e, then f."], passed: true, todo: "" },
  ]);
});

test("Bun's report is read: names with entities in them, failures, and what was skipped", () => {
  const xml = `<?xml version="1.0"?>
<testsuites name="bun test"><testsuite name="relay/x.test.ts" file="relay/x.test.ts">
  <testcase name="1. a &amp; &quot;b&quot; &lt;c&gt; &#39;d&apos; > e" classname="" file="relay/x.test.ts" line="1" />
  <testcase name="2. f" file="relay/x.test.ts" line="2">
    <failure type="AssertionError" />
  </testcase>
  <testcase name="3. g" file="relay/x.test.ts"><skipped /></testcase>
</testsuite></testsuites>`;
  const base = { file: "relay/x.test.ts", runtime: "bun", notes: [] };
  assert.deepEqual(parseBunReport(xml), [
    { ...base, names: [`1. a & "b" <c> 'd' > e`], passed: true, skip: undefined },
    { ...base, names: ["2. f"], passed: false, skip: undefined },
    { ...base, names: ["3. g"], passed: true, skip: "" },
  ]);
});
