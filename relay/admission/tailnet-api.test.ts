import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TailscaleApiError } from "./access-token.ts";
import { TailnetApi } from "./tailnet-api.ts";
import { bench, type Bench } from "./testing/cast.ts";
import { applicant } from "./testing/applicants.ts";
import { forever } from "../outbound/testing/servers.ts";
import { deny, unknown, type Verdict } from "./verdict.ts";

const alice = applicant();
const hex = ({ key }: typeof alice): string => key.toString("hex");
const hour = 3_600_000;

interface Stage {
  readonly clock: Bench;
  readonly api: TailnetApi;
  /** When the list was asked for. */
  readonly fetched: number[];
  /** What the next refreshes give. */
  list: ReadonlySet<string> | Error | Promise<ReadonlySet<string>>;
  readonly check: (who?: typeof alice) => Promise<Verdict>;
}

function stage(random = 0): Stage {
  const clock = bench();
  const api = new TailnetApi({
    ...clock,
    random: () => random,
    staleMs: 24 * hour,
    fetchKeys: async () => {
      made.fetched.push(clock.time);
      if (made.list instanceof Error) throw made.list;
      return made.list;
    },
  });
  const made: Stage = {
    clock,
    api,
    fetched: [],
    list: new Set([hex(alice)]),
    check: async (who = alice) => api.check(who, forever),
  };
  return made;
}

test("who is on the list is allowed as of the list, who is not is denied", async () => {
  const made = stage();
  assert.deepEqual(await made.check(), { kind: "allow", asOf: 1_000_000 });
  made.clock.time += 50_000;
  assert.deepEqual(await made.check(), { kind: "allow", asOf: 1_000_000 });
  assert.deepEqual(await made.check(applicant()), deny("the key is on no device of the tailnet"));
});

test("a known key has the list refreshed when it is older than a minute, an unknown one when it is 10 s old", async () => {
  const made = stage();
  await made.check();
  made.clock.time += 60_000;
  await made.check();
  assert.equal(made.fetched.length, 1);
  made.clock.time += 1;
  await made.check();
  assert.equal(made.fetched.length, 2);
  const bob = applicant();
  made.list = new Set([hex(alice), hex(bob)]);
  made.clock.time += 9_999;
  assert.equal((await made.check(bob)).kind, "deny");
  made.clock.time += 1;
  assert.equal((await made.check(bob)).kind, "allow");
  assert.equal(made.fetched.length, 3);
});

test("strangers with ever new keys cause one refresh in 10 s, all together", async () => {
  const made = stage();
  for (let second = 0; second < 60; second++) {
    const verdicts = await Promise.all(Array.from({ length: 100 }, async () => made.check(applicant())));
    assert.ok(verdicts.every(({ kind }) => kind === "deny"));
    made.clock.time += 1_000;
  }
  assert.deepEqual(
    made.fetched.map((time) => time - 1_000_000),
    [0, 10_000, 20_000, 30_000, 40_000, 50_000],
  );
});

test("whoever asks while a refresh is under way waits for it and not for another", async () => {
  const made = stage();
  const list = Promise.withResolvers<ReadonlySet<string>>();
  made.list = list.promise;
  const first = made.check();
  made.clock.time += 100_000;
  const second = made.check();
  list.resolve(new Set([hex(alice)]));
  assert.deepEqual(await first, { kind: "allow", asOf: 1_000_000 }, "as of when the list was asked for");
  assert.deepEqual([(await second).kind, made.fetched.length], ["allow", 1]);
});

test("without a list nobody is known, and nobody denied", async () => {
  const made = stage();
  made.list = new Error("unreachable");
  assert.deepEqual(await made.check(), unknown("unreachable"));
  assert.deepEqual(await made.check(), unknown("unreachable"));
  assert.equal(made.fetched.length, 1);
});

test("in an outage the last list stands for those on it, for a day, and denies nobody", async () => {
  const made = stage();
  await made.check();
  made.list = new Error("unreachable");
  made.clock.time += 24 * hour;
  assert.deepEqual(await made.check(), { kind: "allow", asOf: 1_000_000 });
  assert.deepEqual(await made.check(applicant()), unknown("unreachable"));
  made.clock.time += 1;
  assert.deepEqual(await made.check(), unknown("unreachable"));
});

test("pauses between failing refreshes grow to a minute, or to what the API asks for, and are logged", async () => {
  const made = stage();
  made.list = new Error("unreachable");
  for (let second = 0; second < 250; second++) {
    await made.check();
    made.clock.time += 1_000;
  }
  const starts = made.fetched.map((time) => (time - 1_000_000) / 1_000);
  assert.deepEqual(starts, [0, 10, 30, 70, 130, 190]);
  made.list = new TailscaleApiError("too many requests", "throttled", 300_000);
  await made.check();
  made.list = new Set([hex(alice)]);
  made.clock.time += 299_999;
  assert.deepEqual(await made.check(), unknown("too many requests", "throttled"));
  made.clock.time += 1;
  assert.equal((await made.check()).kind, "allow");
  assert.deepEqual(made.clock.lines.slice(-3), [
    "the tailnet's device list cannot be read: unreachable; again in 60 s",
    "the tailnet's device list cannot be read: too many requests; again in 300 s",
    "the tailnet's device list is read again",
  ]);
});

test("after a failure that is over, strangers are denied again, and the next pause is short", async () => {
  const made = stage();
  made.list = new Error("unreachable");
  await made.check();
  made.clock.time += 10_000;
  made.list = new Set([hex(alice)]);
  assert.equal((await made.check(applicant())).kind, "deny");
  made.clock.time += 10_000;
  made.list = new Error("unreachable");
  assert.deepEqual(await made.check(applicant()), unknown("unreachable"));
  assert.match(made.clock.lines.at(-1) ?? "", /again in 10 s$/);
});

test("a fleet's relays try again at different times", async () => {
  const made = stage(0.9);
  made.list = new Error("unreachable");
  await made.check();
  made.clock.time += 14_499;
  await made.check();
  assert.equal(made.fetched.length, 1);
  made.clock.time += 1;
  await made.check();
  assert.equal(made.fetched.length, 2);
});

test("an API that hangs holds up nobody on the last list for longer than 3 s", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const made = stage();
  await made.check();
  const list = Promise.withResolvers<ReadonlySet<string>>();
  made.list = list.promise;
  made.clock.time += 100_000;
  const [known, stranger] = [made.check(), made.check(applicant())];
  t.mock.timers.tick(3_000);
  assert.deepEqual(await known, { kind: "allow", asOf: 1_000_000 });
  list.reject(new Error("no answer within 10 s"));
  assert.deepEqual(await stranger, unknown("no answer within 10 s"));
  assert.equal(made.fetched.length, 2);
});

test("a refresh that takes 10 s has failed", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const api = new TailnetApi({
    ...bench(),
    staleMs: hour,
    fetchKeys: async (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
  });
  const verdict = api.check(alice, forever);
  t.mock.timers.tick(10_000);
  assert.deepEqual(await verdict, unknown("no answer within 10 s", "timeout"));
});

test("whoever asks whatever and whenever, refreshes are 10 s apart, and only the latest list denies", async () => {
  const step = fc.record({ wait: fc.nat(30_000), known: fc.boolean(), up: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const made = stage();
      for (const { wait, known, up } of steps) {
        made.clock.time += wait;
        made.list = up ? new Set([hex(alice)]) : new Error("unreachable");
        const { kind } = await made.check(known ? alice : applicant());
        assert.notEqual(kind, known ? "deny" : "allow");
        const last = made.fetched.at(-1) ?? assert.fail();
        if (kind === "deny") assert.ok(made.clock.time - last < 10_000);
      }
      for (const [index, time] of made.fetched.entries()) {
        assert.ok(index === 0 || time - (made.fetched[index - 1] ?? 0) >= 10_000);
      }
    }),
  );
});
