import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters, styleText } from "node:util";
import { always, createOutput, renderTable, type Terminal } from "./output.ts";

class Screen implements Terminal {
  readonly isTTY: boolean;
  readonly columns = 40;
  text = "";

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  hasColors(): boolean {
    return this.isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

test("elsewhere than on a terminal a step is one plain line, when it has ended", () => {
  const [results, remarks] = [new Screen(false), new Screen(false)];
  const out = createOutput(false, results, remarks);
  const step = out.step("working");
  step.update("still working");
  out.note("a remark");
  step.done("worked");
  out.step("other").fail();
  out.line(styleText("red", "a result", always));
  assert.equal(remarks.text, "a remark\nok    worked\nFAIL  other\n");
  assert.equal(results.text, "a result\n");
});

test("on a terminal the status is the last line, steps aside for others and never wraps", () => {
  const screen = new Screen(true);
  const out = createOutput(false, screen, screen);
  const step = out.step("working");
  out.note("a remark");
  step.update("x".repeat(100));
  step.done("worked");
  const clear = "\r\u001B[K";
  assert.equal(
    screen.text,
    `…     working${clear}a remark\n…     working${clear}…     ${"x".repeat(33)}${clear}${styleText("green", "ok  ", always)}  worked\n`,
  );
});

test("with --json standard output holds the document and nothing else", () => {
  const [results, remarks] = [new Screen(false), new Screen(false)];
  const out = createOutput(true, results, remarks);
  out.line("for people");
  out.document({ ok: true });
  assert.deepEqual(JSON.parse(results.text), { ok: true });
  assert.equal(remarks.text, "for people\n");
});

test("columns of a table are as wide as their longest cell, and lines do not end in spaces", () => {
  const table = renderTable(
    ["A", "B"],
    [
      ["long cell", "1"],
      ["x", ""],
    ],
  );
  assert.deepEqual(stripVTControlCharacters(table).split("\n"), ["A          B", "long cell  1", "x"]);
});

test("a cell of a table cannot break its line or steer the terminal", () => {
  const table = renderTable(["a", "b"], [["\u001B[2Jx", "y\nz\u009B1m\u202E"]]);
  assert.deepEqual(stripVTControlCharacters(table).split("\n").slice(1), ["�[2Jx  y�z�1m�"]);
});
