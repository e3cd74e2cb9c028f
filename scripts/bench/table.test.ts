import assert from "node:assert/strict";
import test from "node:test";
import { cases } from "./cases.ts";
import type { Row } from "./record.ts";
import { renderCaseLine, renderHead, renderRow } from "./table.ts";

function row(caseName: string, value: string, more: Partial<Row>): Row {
  const of = cases.find(({ name }) => name === caseName);
  const figure = of?.figures.find((one) => one.value === value);
  assert.ok(of !== undefined && figure !== undefined);
  return { of, figure, values: {}, failures: {}, limited: {}, verdict: "unmeasured", ...more };
}

test("a row has each relay's figure, how many times better it is, what is asked and what became of it", () => {
  const values = { derper: 1.7001, node: 0.9512, bun: 0.58 };
  const cells = renderRow(row("cpu-10x64", "cpuPerPacket", { values, verdict: "met" }), "bun");
  assert.deepEqual(cells, [
    "10 pairs × 64 B",
    "CPU per packet",
    "1.7 µs",
    "0.951 µs",
    "1.79×",
    "0.58 µs",
    "2.93×",
    "≥ 2.5×",
    "met",
  ]);
  assert.equal(cells.length, renderHead("bun").length);
  assert.match(renderHead("node").join(), /asked of Node\.js/);
});

test("what was not measured, and what failed, is told apart", () => {
  const failed = row("cpu-10x64", "cpuPerPacket", { failures: { bun: "it ended" }, verdict: "missed" });
  assert.deepEqual(renderRow(failed, "bun").slice(2), ["–", "–", "–", "failed", "–", "≥ 2.5×", "MISSED"]);
});

test("a few drops are not none, all but one is not all, and parts have no ratio", () => {
  const drops = (bun: number): string | undefined =>
    renderRow(row("goodput-128", "dropped", { values: { derper: 71, bun } }), "bun")[5];
  assert.equal(drops(0), "0 %");
  assert.equal(drops(0.000_01), "< 0.01 %");
  assert.equal(drops(99.99), "99.99 %");
  assert.equal(renderRow(row("goodput-128", "dropped", { values: { derper: 71, bun: 1 } }), "bun")[6], "–");
});

test("large numbers have separators, three digits and a mark where the generator was busy", () => {
  const values = { derper: 112_345, bun: 1_044_999 };
  const cells = renderRow(row("goodput-512", "goodput", { values, limited: { bun: true } }), "bun");
  assert.deepEqual(
    [cells[2], cells[5], cells[6], cells[7]],
    ["112,000 packets/s", "1,040,000 packets/s ᵍ", "9.30×", "≥ 4×"],
  );
});

test("targets are shown with their unit", () => {
  const target = (name: string, value: string): string | undefined =>
    renderRow(row(name, value, {}), "bun")[7];
  assert.equal(target("throttled", "ageP99"), "≤ 1.1 s");
  assert.equal(target("rest", "resident"), "< 100 MiB");
  assert.equal(target("goodput-128", "dropped"), "0 %");
  assert.equal(target("latency", "rttP50"), "≥ 0.95×");
  assert.equal(target("latency", "rttP99"), "");
});

test("the line of a case has the relays that took part", () => {
  const first = row("latency", "rttP50", {
    values: { derper: 200, bun: 100 },
    failures: { node: "it ended" },
  });
  assert.equal(
    renderCaseLine([first]),
    "4 ping-pong pairs × 64 B, light load: round trip p50 derper 200 µs, node failed, bun 100 µs (2.00×)",
  );
  assert.equal(renderCaseLine([]), "");
});
