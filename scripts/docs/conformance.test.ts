import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { findNumberedTests, readNumberedTests } from "../conformance/numbered-tests.ts";
import { failedMark } from "../conformance/record.ts";
import { repairs } from "../conformance/repairs.ts";
import { lastStatement, listStatements } from "../conformance/statements.ts";
import { missingMark, renderConformance } from "./conformance.ts";

const root = path.join(import.meta.dirname, "../..");
const tests = readNumberedTests(root);

test("each statement has a test that is named by it", () => {
  const named = new Set(listStatements(tests).flatMap((row) => row.test.numbers));
  const all = Array.from({ length: lastStatement }, (_, index) => `${index + 1}`);
  assert.deepEqual(
    all.filter((number) => !named.has(number)),
    [],
  );
});

test("every number of a title is that of a statement or of a wanted difference", () => {
  const strange = tests
    .flatMap(({ numbers }) => numbers)
    .filter((number) => (number.startsWith("Q") ? !(number in repairs) : Number(number) > lastStatement));
  assert.deepEqual(strange, []);
});

test("every test of a statement has been run under its present name, and none has failed", async () => {
  const page = await readFile(path.join(root, "docs/conformance.md"), "utf8");
  const lines = page.split("\n").filter((line) => line.includes(missingMark) || line.includes(failedMark));
  assert.deepEqual(lines, [], "npm run conformance -- FILE runs those of a file again");
});

const few = [
  ...findNumberedTests(
    "interop/conformance/a.test.ts",
    'statement("1. Given a | b, then c.", f); statement("1. Given d, then e.", f)',
  ),
  ...findNumberedTests(
    "relay/b.test.ts",
    'test("1, 2. f", f); test("2. Given g, then h.", f); test("Q3. i", f)',
  ),
];
const rendered = renderConformance(few, {
  versions: { derper: "1.2.3", node: "24.0.0", bun: "1.4.5" },
  outcomes: {
    "interop/conformance/a.test.ts: 1. Given a | b, then c.": {
      derper: "differs (Q3)",
      node: "pass",
      bun: "todo: finding: j",
      differences: ["Q3"],
    },
    "relay/b.test.ts: 1, 2. f": { derper: "–", node: "pass", bun: "pass", differences: [] },
    "relay/b.test.ts: 2. Given g, then h.": { derper: "–", node: "pass", bun: failedMark, differences: [] },
  },
  comparisons: { "answers are derper's": { tests: 5, todo: 2 } },
});
const linesOf = (start: string): string[] => rendered.split("\n").filter((line) => line.startsWith(start));

test("a row has its test, further ones beside the code, and what became of it", () => {
  const a = "[a](../interop/conformance/a.test.ts)";
  const b = "[relay/b](../relay/b.test.ts)";
  assert.deepEqual(linesOf("| 1 |"), [
    `| 1 | Given a \\| b, then c. | ${a}, ${b} | differs (Q3) | pass | todo: finding: j |`,
    `| 1 | Given d, then e. | ${a} | ${missingMark} | ${missingMark} | ${missingMark} |`,
  ]);
  assert.deepEqual(linesOf("| 1, 2 |"), [`| 1, 2 | f | ${b} | – | pass | pass |`]);
  assert.deepEqual(linesOf("| 2 |"), [`| 2 | Given g, then h. | ${b} | – | pass | ${failedMark} |`]);
});

test("a difference has its tests, and the statements in which it was seen", () => {
  const [derper, instead] = repairs.Q3;
  assert.deepEqual(linesOf("| Q3 |"), [
    `| Q3 | ${derper} | ${instead} | [relay/b](../relay/b.test.ts) | 1 |`,
  ]);
});

test("rows are counted by what they show, and comparisons by their tests", () => {
  assert.deepEqual(linesOf("| pass |"), ["| pass | 0 | 3 | 1 |"]);
  assert.deepEqual(linesOf("| differs |"), ["| differs | 1 | 0 | 0 |"]);
  assert.deepEqual(linesOf("| not run |"), ["| not run | 1 | 1 | 1 |"]);
  assert.deepEqual(linesOf("| answers"), ["| answers are derper's | 5 | 3 | 2 |"]);
});
