import assert from "node:assert/strict";
import { test } from "node:test";
import type { Applicant } from "./mode.ts";
import { Rechecks } from "./rechecks.ts";
import type { EndReason } from "./standing.ts";
import { bench, type Bench, Oracle, settle } from "./testing/cast.ts";
import { applicant } from "./testing/applicants.ts";
import { allow, deny, unknown } from "./verdict.ts";

const day = 86_400_000;

interface Stage {
  readonly clock: Bench;
  readonly oracle: Oracle;
  readonly rechecks: Rechecks;
  /** Why sessions were ended. */
  readonly ended: EndReason[];
  /** Moves the clock on and does what is due. */
  readonly wait: (ms: number) => Promise<void>;
  readonly watch: (client?: Applicant) => () => void;
}

function stage(recheckMs = 300_000): Stage {
  const clock = bench();
  const oracle = new Oracle(allow);
  const ended: EndReason[] = [];
  const rechecks = new Rechecks({
    ...clock,
    recheckMs,
    staleMs: day,
    ask: async (client) => oracle.check(client),
  });
  return {
    clock,
    oracle,
    rechecks,
    ended,
    async wait(ms) {
      clock.time += ms;
      rechecks.tick(clock.time);
      await settle();
    },
    watch: (client = applicant()) => rechecks.watch(client, clock.time, (reason) => ended.push(reason)),
  };
}

test("a session is asked about again at every interval", async () => {
  const { oracle, watch, wait } = stage();
  watch();
  await wait(299_999);
  assert.equal(oracle.asked.length, 0);
  await wait(1);
  await wait(299_999);
  assert.equal(oracle.asked.length, 1);
  await wait(1);
  assert.equal(oracle.asked.length, 2);
});

test("sessions that began together are asked about at different times", async () => {
  const { clock, oracle, rechecks, ended } = stage();
  const spread = [0, 0.25, 0.5, 1];
  const spreading = new Rechecks({
    ...clock,
    random: () => spread.shift() ?? 0,
    recheckMs: 100,
    staleMs: day,
    ask: async (client) => oracle.check(client),
  });
  for (let i = 0; i < 4; i++) spreading.watch(applicant(), clock.time, (reason) => ended.push(reason));
  const asked: number[] = [];
  for (const time of [89, 90, 95, 100, 109, 110]) {
    spreading.tick(1_000_000 + time);
    asked.push(oracle.asked.length);
  }
  assert.deepEqual(asked, [0, 1, 2, 3, 3, 4]);
  assert.equal(rechecks.size, 0);
});

test("a denied session is asked about 20 s later, and ends if it is denied again", async () => {
  const { oracle, rechecks, watch, wait, ended } = stage();
  watch();
  oracle.verdict = deny("no");
  await wait(300_000);
  await wait(19_999);
  assert.deepEqual([oracle.asked.length, ended], [1, []]);
  await wait(1);
  assert.deepEqual([oracle.asked.length, ended], [2, ["denied"]]);
  await wait(day);
  assert.deepEqual([oracle.asked.length, rechecks.size, rechecks.ended], [2, 0, { denied: 1, stale: 0 }]);
});

test("a session that is allowed on the second look stays", async () => {
  const { oracle, watch, wait, ended } = stage();
  watch();
  oracle.verdict = deny("the list is being replaced");
  await wait(300_000);
  oracle.verdict = allow;
  await wait(20_000);
  oracle.verdict = deny("no");
  await wait(300_000);
  assert.deepEqual(ended, []);
});

test("an outage of a day ends nobody, a longer one does", async () => {
  const { oracle, rechecks, watch, wait, ended } = stage(3_600_000);
  for (let i = 0; i < 10; i++) watch();
  oracle.verdict = unknown("unreachable");
  for (let hour = 0; hour < 24; hour++) await wait(3_600_000);
  assert.deepEqual([ended, oracle.asked.length], [[], 240]);
  await wait(3_600_000);
  assert.deepEqual(rechecks.ended, { denied: 0, stale: 10 });
});

test("a session that is over is neither asked about nor ended, though its check was under way", async () => {
  const { oracle, watch, wait, ended } = stage();
  const unwatch = watch();
  oracle.verdict = deny("no");
  await wait(300_000);
  oracle.verdict = undefined;
  await wait(20_000);
  unwatch();
  oracle.waiting[0]?.resolve(deny("no"));
  await settle();
  unwatch();
  await wait(day);
  assert.deepEqual([ended, oracle.asked.length], [[], 2]);
});

test("a session has one check at a time, and all together sixteen", async () => {
  const { oracle, watch, wait } = stage();
  for (let i = 0; i < 40; i++) watch();
  oracle.verdict = undefined;
  await wait(400_000);
  await wait(400_000);
  assert.equal(oracle.asked.length, 16);
  for (const { resolve } of oracle.waiting.splice(0)) resolve(allow);
  await settle();
  await wait(1_000);
  assert.equal(oracle.asked.length, 32);
  assert.equal(new Set(oracle.asked).size, 32);
});

test("when answers come too slowly for all, each session still has its turn", async () => {
  const { oracle, watch, wait } = stage();
  for (let i = 0; i < 40; i++) watch();
  oracle.verdict = undefined;
  for (let i = 0; i < 3; i++) {
    await wait(400_000);
    for (const { resolve } of oracle.waiting.splice(0)) resolve(allow);
    await settle();
  }
  assert.deepEqual([oracle.asked.length, new Set(oracle.asked).size], [48, 40]);
});

test("without an interval nobody is asked about again, as with derper", async () => {
  const { oracle, rechecks, watch, wait } = stage(0);
  const unwatch = watch();
  await wait(10 * day);
  unwatch();
  assert.deepEqual([oracle.asked.length, rechecks.size], [0, 0]);
});
