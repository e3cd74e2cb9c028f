import assert from "node:assert/strict";
import { test } from "node:test";
import { renderMarker, renderReport } from "./markdown.ts";

const mark = renderMarker("check", "prod");
const render = (...lines: readonly string[]): string =>
  renderReport(mark, "T", [{ title: "A", summary: "s", lines }], "foot");

test("a page begins with its mark, and has an overview before the parts", () => {
  assert.equal(
    render("one", "two"),
    "<!-- derpkit check prod -->\n### T\n\n| | |\n| --- | --- |\n| A | s |\n\n**A**\n\n```text\none\ntwo\n```\n\nfoot\n",
  );
});

test("a line ends neither its fence nor the page, and steers nothing", () => {
  const page = render("```` @team </details>", "a\u001B[2Jb\u202E\rc");
  assert.match(page, /\n`````text\n```` @team <\/details>\na\uFFFD\[2Jb\uFFFD\uFFFDc\n`````\n/);
});

test("a summary is text: no link, no mention, no cell", () => {
  const page = renderReport(mark, "T", [{ title: "A", summary: "@team | [x](y) <b>", lines: [] }], "");
  assert.match(page, /\| A \| &#64;team &#124; &#91;x&#93;&#40;y&#41; &#60;b&#62; \|/);
});

test("however much there is, the page stays below what GitHub takes, and says what is left out", () => {
  const lines = Array.from({ length: 5_000 }, (_, n) => `${n} ${"東`".repeat(n === 7 ? 50_000 : 20)}`);
  const section = { title: "A", summary: "@".repeat(100_000), lines };
  const page = renderReport(
    mark,
    "T",
    Array.from({ length: 5 }, () => section),
    "foot",
  );
  assert.ok(Buffer.byteLength(page) < 65_536 && page.length > 10_000, String(Buffer.byteLength(page)));
  assert.match(page, /… and \d+ more lines, which the run has/);
  assert.doesNotMatch(page, /\uFFFD/);
});
