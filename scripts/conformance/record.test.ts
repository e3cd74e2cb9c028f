import assert from "node:assert/strict";
import test from "node:test";
import { findNumberedTests } from "./numbered-tests.ts";
import { buildRecord, failedMark, mergeRecords } from "./record.ts";
import type { TestResult } from "./results.ts";

const versions = { derper: "1.2.3", node: "24.0.0", bun: "1.4.5" };
const outside = "interop/conformance/a.test.ts";
const beside = "relay/b.test.ts";

/** A test that a helper has registered for each relay, or one beside the code. */
function result(names: readonly string[], more: Partial<TestResult> = {}): TestResult {
  const file = names.length > 1 ? "interop/conformance/suite.ts" : beside;
  return { file, names, runtime: "node", passed: true, notes: [], ...more };
}

test("a test's results are told apart by relay, those of cases come together, and reasons are named once", () => {
  const tests = [
    ...findNumberedTests(
      outside,
      'statement("1. Given a, then b.", f); describe("2. Given c, then d.", f); statement("3. Given e, then f.", f)',
    ),
    ...findNumberedTests(beside, 'test("1. Given a, then b.", f)'),
  ];
  const { outcomes } = buildRecord(
    tests,
    [
      result(["1. Given a, then b.", "derper"], { notes: ["differs: Q3", "something else"] }),
      result(["1. Given a, then b.", "node"]),
      result(["1. Given a, then b.", "bun"], { skip: "there is no bun" }),
      ...["one", "two"].map((name) =>
        result(["2. Given c, then d.", name, "node"], { passed: false, todo: "finding: g" }),
      ),
      result(["2. Given c, then d.", "three", "node"]),
      result(["2. Given c, then d.", "one", "bun"], { passed: false, todo: "finding: g" }),
      result(["2. Given c, then d.", "two", "bun"], { passed: false }),
      result(["3. Given e, then f.", "node"], { skip: "" }),
      result(["1. Given a, then b."]),
      result(["1. Given a, then b."], { runtime: "bun" }),
    ],
    versions,
  );
  assert.deepEqual(outcomes, {
    [`${outside}: 1. Given a, then b.`]: {
      derper: "differs (Q3)",
      node: "pass",
      bun: "skipped: there is no bun",
      differences: ["Q3"],
    },
    [`${outside}: 2. Given c, then d.`]: {
      derper: "–",
      node: "1 of 3 pass; todo: finding: g",
      bun: `${failedMark}: finding: g`,
      differences: [],
    },
    [`${outside}: 3. Given e, then f.`]: { derper: "–", node: "skipped", bun: "–", differences: [] },
    [`${beside}: 1. Given a, then b.`]: { derper: "–", node: "pass", bun: "pass", differences: [] },
  });
});

test("a test without a result is refused", () => {
  const tests = findNumberedTests(beside, 'test("1. Given a, then b.", f)');
  assert.throws(() => buildRecord(tests, [], versions), /no result of relay\/b\.test\.ts: 1\. Given a/);
});

test("tests without a number in the suite are comparisons, counted by suite", () => {
  const record = buildRecord(
    [],
    [
      result(["answers are derper's", "GET /"]),
      result(["answers are derper's", "GET //"], { passed: false, todo: "finding: g" }),
      result(["Q7. a difference", "node"]),
      result(["a test beside the code"]),
    ],
    versions,
  );
  assert.deepEqual(record.comparisons, { "answers are derper's": { tests: 2, todo: 1 } });
});

test("newer results go over older ones, and those of tests that are gone are forgotten", () => {
  const find = (...titles: string[]) =>
    titles.flatMap((title) => findNumberedTests(beside, `test("${title}", f)`));
  const [kept, gone, changed] = [
    "1. Given a, then b.",
    "2. Given c, then d.",
    "3. Given e, then f.",
  ] as const;
  const before = buildRecord(
    find(kept, gone, changed),
    [kept, gone, changed].map((name) => result([name])),
    versions,
  );
  const now = buildRecord(find(changed), [result([changed], { skip: "later" })], versions);
  const { outcomes } = mergeRecords(before, now, find(kept, changed));
  assert.deepEqual(
    Object.entries(outcomes).map(([key, { node }]) => [key, node]),
    [
      [`${beside}: ${kept}`, "pass"],
      [`${beside}: ${changed}`, "skipped: later"],
    ],
  );
});
