import assert from "node:assert/strict";
import test from "node:test";
import { findNumberedTests } from "./numbered-tests.ts";

test("a title's numbers and sentence are found however the call is written", () => {
  const source = [
    'test("7. Given a, then b.", () => {});',
    "perRelay(\n  '8, 9. Given `{\"c\":1}`, then d.',\n  {},",
    'test(\n  "10. Given e, " +\n    "then \\"f\\"\\n.",\n  async () => {',
    'test("Q3. a peer is told each time", () => {});',
    'describe("64 bits are no statement", () => {});',
    'const cases = { "11. of no call": 1 };',
  ].join("\n");
  assert.deepEqual(
    findNumberedTests("relay/x.test.ts", source).map(({ numbers, sentence }) => [numbers, sentence]),
    [
      [["7"], "Given a, then b."],
      [["8", "9"], 'Given `{"c":1}`, then d.'],
      [["10"], 'Given e, then "f"\n.'],
      [["Q3"], "a peer is told each time"],
    ],
  );
});

test("a numbered title that is made while the tests run is refused", () => {
  assert.throws(
    () =>
      findNumberedTests("relay/x.test.ts", "for (const n of all) test(`12. Given ${n}, then g.`, () => {});"),
    /relay\/x\.test\.ts: the title of a numbered test is a plain string/,
  );
});
