import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate, resolveText, type Scope } from "./workflow-expression.ts";

const scope: Scope = {
  contexts: {
    github: { event_name: "push", ref: "refs/heads/main" },
    secrets: { TOKEN: "s3cret", EMPTY: "" },
    steps: { report: { outcome: "failure", outputs: { well: "true" } } },
  },
  failed: true,
};

for (const [expression, value] of [
  ["github.event_name == 'push' && github.ref != 'x'", true],
  ["github.event_name == 'pull_request' && github.ref || github.event_name", "push"],
  ["!(github.event_name == 'push') || 'it''s'", "it's"],
  ["!cancelled() && steps.report.outcome == 'success'", false],
  ["success()", false],
  ["failure() && always()", true],
  ["secrets.EMPTY || 'none'", "none"],
  ["steps.report.outputs.well", "true"],
  ["steps.report.outputs.never_written", ""],
] as const) {
  test(`${expression} is ${JSON.stringify(value)}`, () => {
    assert.equal(evaluate(expression, scope), value);
  });
}

for (const expression of [
  "secrets.OTHER",
  "github.actor",
  "github",
  "contains(github.ref, 'main')",
  "hashFiles()",
  "github.ref == 'a' 'b'",
  "github.ref > 'a'",
  "(github.ref",
  "",
]) {
  test(`what nobody knows here is refused: ${expression}`, () => {
    assert.throws(() => evaluate(expression, scope), Error);
  });
}

test("a text may have several expressions, and what they give is not looked at again", () => {
  const given = { ...scope, contexts: { ...scope.contexts, vars: { odd: "$& ${{ secrets.TOKEN }}" } } };
  assert.equal(
    resolveText("a ${{ vars.odd }} b ${{github.ref}}", given),
    "a $& ${{ secrets.TOKEN }} b refs/heads/main",
  );
});
