import assert from "node:assert/strict";
import test from "node:test";
import { cases, openFilesOf } from "./cases.ts";
import { targetOf } from "./figures.ts";

test("names of cases and, within a case, values of figures are unique", () => {
  const names = cases.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, figures } of cases) {
    assert.equal(new Set(figures.map(({ value }) => value)).size, figures.length, name);
  }
});

test("what is asked of Bun is asked for each kind of work, and Node has to do less only where that is said", () => {
  const asked = (runtime: "bun" | "node"): string[] =>
    cases.flatMap((one) =>
      one.figures.flatMap((figure) => {
        const target = targetOf(figure, runtime);
        return target?.kind === "times" ? [`${one.name} ${figure.value} ${target.least.toFixed(2)}`] : [];
      }),
    );
  const always = ["goodput-128 goodput 4.00", "goodput-512 goodput 4.00", "large-16k cpuPerPacket 1.30"];
  const more = [...always, "large-64k cpuPerPacket 1.30", "latency rttP50 0.95"];
  assert.deepEqual(asked("bun"), [
    "cpu-10x64 cpuPerPacket 2.50",
    "cpu-10x1280 cpuPerPacket 2.50",
    "cpu-50x64 cpuPerPacket 2.50",
    "cpu-50x1280 cpuPerPacket 2.50",
    "cpu-1x1280 cpuPerPacket 1.70",
    "paced cpuPerPacket 1.30",
    ...more,
    "connections cpuPerHandshake 1.20",
    "connections perConnection 4.00",
  ]);
  assert.deepEqual(asked("node"), [
    "cpu-10x64 cpuPerPacket 1.60",
    "cpu-10x1280 cpuPerPacket 1.60",
    "cpu-50x64 cpuPerPacket 1.60",
    "cpu-50x1280 cpuPerPacket 1.60",
    "cpu-1x1280 cpuPerPacket 1.70",
    "paced cpuPerPacket 1.10",
    ...more,
    "connections cpuPerHandshake 0.70",
    "connections perConnection 1.10",
  ]);
});

test("memory is looked at in relays that have done nothing else", () => {
  const others = cases
    .filter(({ figures }) => figures.some(({ unit }) => unit === "MiB" || unit === "KiB"))
    .filter(({ fresh }) => !fresh);
  assert.deepEqual(others, []);
});

test("a case may open a file for each connection, and some more", () => {
  const files = new Map(cases.map((one) => [one.name, openFilesOf(one)]));
  assert.ok((files.get("idle") ?? 0) > 10_000);
  assert.ok((files.get("connections") ?? 0) > 5_000);
  assert.ok((files.get("stalled") ?? 0) > 1_000);
  assert.ok((files.get("latency") ?? 0) > 100);
});
