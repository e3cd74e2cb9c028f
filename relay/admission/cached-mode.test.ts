import assert from "node:assert/strict";
import { test } from "node:test";
import { CachedMode, createModeCounters, maxQueries } from "./cached-mode.ts";
import { TimeLimit } from "../outbound/failure.ts";
import { bench, Oracle } from "./testing/cast.ts";
import { applicant, someKey } from "./testing/applicants.ts";
import { forever } from "../outbound/testing/servers.ts";
import { allow, deny, unknown } from "./verdict.ts";

test("the same client is asked about again when the answer is too old, another one at once", async () => {
  const clock = bench();
  const oracle = new Oracle(allow);
  const mode = new CachedMode(oracle, clock);
  const alice = applicant();
  await mode.ask(alice, forever);
  clock.time += 29_999;
  await mode.ask(alice, forever);
  assert.equal(oracle.asked.length, 1);
  clock.time += 1;
  await mode.ask(alice, forever);
  await mode.ask(applicant(), forever);
  await mode.ask({ ...alice, source: "192.0.2.2" }, forever);
  assert.equal(oracle.asked.length, 4);
  assert.deepEqual(mode.counters, { ...createModeCounters(), queries: 4, allow: 4, cached: 1 });
});

test("an allowance from memory is as old as the question", async () => {
  const clock = bench();
  const mode = new CachedMode(new Oracle(allow), clock);
  const alice = applicant();
  const first = await mode.ask(alice, forever);
  clock.time += 10_000;
  assert.deepEqual(await mode.ask(alice, forever), first);
  assert.deepEqual(first, { kind: "allow", asOf: 1_000_000 });
});

test("an answer that took its time is as old as the question too", async () => {
  const clock = bench();
  const oracle = new Oracle();
  const verdict = new CachedMode(oracle, clock).ask(applicant(), forever);
  clock.time += 4_000;
  oracle.waiting[0]?.resolve(allow);
  assert.deepEqual(await verdict, { kind: "allow", asOf: 1_000_000 });
});

test("however many ask about a client at once, one query is under way", async () => {
  const oracle = new Oracle();
  const mode = new CachedMode(oracle, bench());
  const key = someKey();
  const answers = Array.from({ length: 100 }, async () => mode.ask(applicant(key), forever));
  assert.equal(oracle.waiting.length, 1);
  oracle.waiting[0]?.resolve(deny("no"));
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ kind }) => kind)), new Set(["deny"]));
  assert.equal(mode.counters.deny, 1);
});

test("queries under way are bounded: those too many do not know, and a known client is not in their way", async () => {
  const oracle = new Oracle();
  const mode = new CachedMode(oracle, bench());
  const alice = applicant();
  const first = mode.ask(alice, forever);
  for (let i = 1; i < maxQueries; i++) void mode.ask(applicant(), forever);
  const refused = await mode.ask(applicant(), forever);
  assert.deepEqual(refused, unknown("too many clients are asked about at once", "overload"));
  assert.deepEqual(
    [mode.counters.queries, mode.counters.unknown, mode.counters.failures.overload],
    [maxQueries, 1, 1],
  );
  const again = mode.ask(alice, forever);
  oracle.waiting[0]?.resolve(allow);
  assert.deepEqual([(await first).kind, (await again).kind], ["allow", "allow"]);
  void mode.ask(applicant(), forever);
  assert.equal(oracle.asked.length, maxQueries + 1);
});

test("what goes wrong counts as not knowing, is not remembered, and is logged once with its end", async () => {
  const clock = bench();
  const oracle = new Oracle(allow);
  const mode = new CachedMode(oracle, clock);
  const alice = applicant();
  oracle.verdict = new Error("connection refused");
  assert.deepEqual(await mode.ask(alice, forever), unknown("connection refused"));
  assert.deepEqual(await mode.ask(alice, forever), unknown("connection refused"));
  oracle.verdict = allow;
  assert.equal((await mode.ask(alice, forever)).kind, "allow");
  const { failures, ...others } = mode.counters;
  assert.deepEqual(others, { queries: 3, allow: 1, deny: 0, unknown: 2, cached: 0 });
  assert.deepEqual(failures, { ...createModeCounters().failures, error: 2 });
  assert.deepEqual(clock.lines, [
    "admission by oracle does not know who may connect: connection refused",
    "admission by oracle knows again who may connect",
  ]);
});

test("why nobody could say is counted by kind, whether it was said or thrown", async () => {
  const oracle = new Oracle();
  const mode = new CachedMode(oracle, bench());
  const happens = [
    unknown("the list is empty", "list"),
    unknown("429", "throttled"),
    { ...unknown("no answer", "timeout"), failOpen: true } as const,
    new TimeLimit(5_000),
    new Error("refused"),
    deny("no"),
  ];
  for (const verdict of happens) {
    oracle.verdict = verdict;
    await mode.ask(applicant(), forever);
  }
  const seen = Object.entries(mode.counters.failures).filter(([, count]) => count > 0);
  assert.deepEqual(Object.fromEntries(seen), { error: 1, timeout: 2, throttled: 1, list: 1 });
  assert.equal(mode.counters.unknown, 5);
});

test("a mode that fails every other time does not fill the log, and its last line is true in the end", async () => {
  const clock = bench();
  const oracle = new Oracle();
  const mode = new CachedMode(oracle, clock);
  for (let i = 0; i < 1_001; i++) {
    oracle.verdict = i % 2 === 0 ? unknown("overloaded") : allow;
    await mode.ask(applicant(), forever);
  }
  assert.equal(clock.lines.length, 4);
  clock.time += 60_000;
  await mode.ask(applicant(), forever);
  oracle.verdict = unknown("overloaded");
  await mode.ask(applicant(), forever);
  assert.match(clock.lines.at(-1) ?? "", /does not know/);
});

test("nothing is said of queries that fail because the relay stops", async () => {
  const clock = bench();
  const mode = new CachedMode(new Oracle(unknown("the relay stops")), clock);
  await mode.ask(applicant(), AbortSignal.abort());
  assert.deepEqual(clock.lines, []);
});

test("a reload forgets answers, and an answer to a question from before it is not kept", async () => {
  const oracle = new Oracle();
  const mode = new CachedMode(oracle, bench());
  const alice = applicant();
  const before = mode.ask(alice, forever);
  mode.reload();
  const after = mode.ask(alice, forever);
  assert.equal(oracle.waiting.length, 2);
  oracle.waiting[1]?.resolve(deny("no"));
  assert.equal((await after).kind, "deny");
  oracle.waiting[0]?.resolve(allow);
  assert.equal((await before).kind, "allow");
  assert.equal((await mode.ask(alice, forever)).kind, "deny");
  assert.equal(oracle.reloads, 1);
});
