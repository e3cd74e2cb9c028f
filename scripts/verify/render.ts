/** Shows results to a person. */
import { styleText } from "node:util";
import { always, renderTable } from "../cli/output.ts";
import type { Status } from "./check.ts";
import type { NodeResult } from "./node.ts";

const head = ["REGION", "NODE", "CHECK", "RESULT", "MS", "DETAIL"];
/** A failure is to be found without colours too. */
const words: Readonly<Record<Status, string>> = { passed: "passed", failed: "FAILED", untested: "untested" };
const paint: Readonly<Record<Status, (line: string) => string>> = {
  passed: (line) => line,
  failed: (line) => styleText("red", line, always),
  untested: (line) => styleText("yellow", line, always),
};

/** Renders a table with a line for each check of each node. */
export function renderResults(results: readonly NodeResult[]): string {
  const checks = results.flatMap(({ name, region, checks: own }) =>
    own.map((check) => ({ name, region, check })),
  );
  const rows = checks.map(({ name, region, check }) => [
    region,
    name,
    check.name,
    words[check.status],
    String(check.ms),
    check.detail,
  ]);
  const [title, ...lines] = renderTable(head, rows).split("\n");
  return [title, ...lines.map((line, index) => paint[checks[index]?.check.status ?? "passed"](line))].join(
    "\n",
  );
}

/** Renders the outcome in a sentence, for example `3 nodes, 48 checks: 45 passed, 2 failed, 1 untested`. */
export function renderSummary(results: readonly NodeResult[]): string {
  const all = results.flatMap(({ checks }) => checks);
  const counts = Object.keys(words).map(
    (status) => [all.filter((check) => check.status === status).length, status] as const,
  );
  const shown = counts.filter(([count, status]) => count > 0 || status === "passed");
  const nodes = results.length === 1 ? "1 node" : `${results.length} nodes`;
  return `${nodes}, ${all.length} checks: ${shown.map(([count, status]) => `${count} ${status}`).join(", ")}`;
}
