import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderDiff } from "./line-diff.ts";

test("what went and came is shown with what is beside it", () => {
  assert.deepEqual(renderDiff("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nx\ne\nf\n"), [
    " b",
    " c",
    "-d",
    "+x",
    " e",
    " f",
  ]);
});

test("what lies between two changes is left out", () => {
  const before = "1\na\nb\nc\nd\ne\nf\ng\n2";
  const after = "a\nb\nc\nd\ne\nf\ng\n3";
  assert.deepEqual(renderDiff(before, after), ["-1", " a", " b", "…", " f", " g", "-2", "+3"]);
  assert.deepEqual(renderDiff("a\n", "a\n"), []);
});

test("what is not new is the old text, and what is not old the new one", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = renderDiff(before.join("\n"), after.join("\n"));
      if (lines.length === 0 || lines.includes("…")) return;
      const without = (mark: string): string =>
        lines
          .filter((line) => !line.startsWith(mark))
          .map((line) => line.slice(1))
          .join("");
      assert.ok(before.join("").includes(without("+")));
      assert.ok(after.join("").includes(without("-")));
    }),
  );
});
