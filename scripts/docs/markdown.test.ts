import assert from "node:assert/strict";
import test from "node:test";
import { renderMarkdownTable } from "./markdown.ts";

test("a table's cells hold bars and angle brackets as text, and code as it is", () => {
  const table = renderMarkdownTable(["A", "B"], [["a|b", "<c> and `<d>`"]]);
  assert.equal(table, "| A | B |\n| --- | --- |\n| a\\|b | \\<c> and `<d>` |");
});
