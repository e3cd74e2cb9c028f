import assert from "node:assert/strict";
import test from "node:test";
import type { Values } from "./derpbench.ts";
import { type BenchRecord, type CaseResult, listRows, mergeRecords, type Outcome } from "./record.ts";

const machine: BenchRecord["machine"] = { cpu: "a CPU", cores: 2, kernel: "6.0", pinned: undefined };
const versions = { derper: "1.2.3", node: "24.0.0", bun: "1.4.5" };

const outcome = (...rounds: Values[]): Outcome => ({ rounds });
const result = (outcomes: CaseResult["outcomes"], more: Partial<CaseResult> = {}): CaseResult => ({
  date: "2026-01-31",
  relay: "0.1.0+a",
  outcomes,
  ...more,
});
const record = (cases: BenchRecord["cases"], more: Partial<BenchRecord> = {}): BenchRecord => ({
  machine,
  versions,
  commands: ["npm run bench"],
  cases,
  ...more,
});
const packets = (...costs: number[]): Outcome =>
  outcome(...costs.map((cpuPerPacket) => ({ cpuPerPacket, goodput: 1_000, dropped: 0, generator: 0.5 })));

test("a figure is the median of its rounds, and judged on the default runtime", () => {
  const all = { derper: packets(3, 9, 2), node: packets(3), bun: packets(1.2, 1.3, 0.2) };
  const [cost] = listRows(record({ "cpu-10x64": result(all) }), "bun");
  assert.deepEqual(cost?.values, { derper: 3, node: 3, bun: 1.2 });
  assert.equal(cost.verdict, "met");
  assert.equal(listRows(record({ "cpu-10x64": result(all) }), "node")[0]?.verdict, "missed");
});

test("rows come in the order of the list of cases, and cases that were not measured have none", () => {
  const rows = listRows(record({ idle: result({}), "cpu-1x1280": result({}) }), "bun");
  assert.deepEqual([...new Set(rows.map(({ of }) => of.name))], ["cpu-1x1280", "idle"]);
  assert.ok(rows.every(({ verdict }) => verdict === "unmeasured" || verdict === "not asked"));
});

test("a relay that fails has no value, even of rounds that went well, and the runtime misses what is asked", () => {
  const failed: Outcome = { ...packets(1), failure: "it ended" };
  const rows = listRows(record({ "cpu-10x64": result({ derper: packets(3), bun: failed }) }), "bun");
  assert.equal(rows[0]?.values.bun, undefined);
  assert.deepEqual(rows[0]?.failures, { bun: "it ended" });
  assert.deepEqual(
    rows.map(({ verdict }) => verdict),
    ["missed", "not asked", "not asked"],
  );
});

test("that derper fails is not our fault", () => {
  const failed: Outcome = { rounds: [], failure: "it ended" };
  const [cost] = listRows(record({ "cpu-10x64": result({ derper: failed, bun: packets(1) }) }), "bun");
  assert.equal(cost?.verdict, "unmeasured");
});

test("rates that a busy generator may have limited are marked, costs are not", () => {
  const busy = outcome({ cpuPerPacket: 1, goodput: 9, dropped: 0, generator: 0.99 });
  const rows = listRows(record({ "cpu-10x64": result({ derper: packets(3), bun: busy }) }), "bun");
  assert.deepEqual(
    rows.map(({ limited }) => limited),
    [{}, { bun: true }, {}],
  );
});

test("newer cases go over older ones as a whole, and those that are no cases any more are forgotten", () => {
  const before = record({
    latency: result({ derper: outcome({ rttP50: 1 }), bun: outcome({ rttP50: 1 }) }),
    idle: result({}),
    gone: result({}),
  });
  const newer = result({ bun: outcome({ rttP50: 2 }) }, { date: "2026-02-01", relay: "0.1.0+b" });
  const merged = mergeRecords(
    before,
    record({ latency: newer }, { commands: ["npm run bench -- --only latency"] }),
  );
  assert.deepEqual(merged?.cases, { latency: newer, idle: before.cases["idle"] });
  assert.deepEqual(merged?.commands, ["npm run bench", "npm run bench -- --only latency"]);
});

test("figures of two machines or of two versions are not put together, ours excepted", () => {
  const before = record({ idle: result({}) });
  const otherMachine = record({}, { machine: { ...machine, kernel: "6.1" } });
  const otherVersion = record({}, { versions: { ...versions, bun: "1.5.0" } });
  assert.equal(mergeRecords(before, otherMachine), undefined);
  assert.equal(mergeRecords(before, otherVersion), undefined);
  const { bun: _, ...withoutBun } = versions;
  assert.deepEqual(mergeRecords(before, record({}, { versions: withoutBun }))?.versions, versions);
});

test("a record that was written and read again is the same machine's", () => {
  const before = JSON.parse(JSON.stringify(record({ idle: result({}) }))) as BenchRecord;
  assert.ok(mergeRecords(before, record({})) !== undefined);
});
