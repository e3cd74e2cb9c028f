import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { HealthState } from "./health-state.ts";
import { startSelfProbe } from "./self-probe.ts";

interface Try {
  readonly signal: AbortSignal;
  readonly pass: () => void;
  readonly fail: (error: Error) => void;
}

/** A probe whose tries the test ends, and a clock that the test moves. */
function stage(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const tries: Try[] = [];
  const health = new HealthState();
  const log: string[] = [];
  let now = 0;
  const probe = {
    name: "stun-ipv4",
    run(signal: AbortSignal): Promise<void> {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      tries.push({ signal, pass: resolve, fail: reject });
      signal.addEventListener("abort", () => reject(new Error("nobody answered in time")));
      return promise;
    },
  };
  const running = startSelfProbe({
    probes: [probe],
    health,
    log: (line) => log.push(line),
    now: () => now,
    everyMs: 5_000,
  });
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    t.mock.timers.tick(ms);
    await setImmediate();
  };
  const last = (): Try => {
    const found = tries.at(-1);
    assert.ok(found);
    return found;
  };
  return { tries, health, log, running, pass, last };
}

test("a round begins 5 s after the one before", async (t) => {
  const { tries, running, pass, last } = stage(t);
  await using _running = running;
  assert.equal(tries.length, 1);
  await pass(10);
  last().pass();
  await pass(0);
  await pass(4_989);
  assert.equal(tries.length, 1);
  await pass(1);
  assert.equal(tries.length, 2);
});

test("three tries that hang are three failures within 15 s, and the log says so once", async (t) => {
  const { health, log, running, pass, last } = stage(t);
  await using _running = running;
  last().pass();
  await pass(0);
  await pass(5_000);
  for (const failing of [[], [], ["stun-ipv4"], ["stun-ipv4"]]) {
    const { signal } = last();
    await pass(3_999);
    assert.equal(signal.aborted, false);
    await pass(1);
    assert.equal(signal.aborted, true);
    assert.deepEqual(health.failing, failing);
  }
  assert.deepEqual(log, [
    "unhealthy: the self-probe stun-ipv4 failed 3 times within 15 s, at last because nobody answered in time",
  ]);
});

test("if each turn of the event loop takes 4.5 s, that is three failures within 15 s too", async (t) => {
  const { health, running, pass, last } = stage(t);
  await using _running = running;
  last().pass();
  await pass(0);
  await pass(5_000);
  for (let turn = 0; turn < 3; turn++) await pass(4_500);
  assert.deepEqual(health.failing, ["stun-ipv4"]);
});

test("a process that stood still for an hour finds one failure, and asks again at once", async (t) => {
  const { tries, health, running, pass, last } = stage(t);
  await using _running = running;
  last().pass();
  await pass(0);
  await pass(5_000);
  await pass(3_600_000);
  assert.deepEqual([tries.length, health.probes.get("stun-ipv4")?.failed], [3, 1]);
  last().pass();
  await pass(0);
  assert.deepEqual(health.failing, []);
});

test("after the stop nothing is asked, and a try that the stop has ended does not count", async (t) => {
  const { tries, health, log, running, pass, last } = stage(t);
  await pass(1);
  const stopped = running[Symbol.asyncDispose]();
  assert.equal(last().signal.aborted, true);
  await stopped;
  await pass(60_000);
  assert.deepEqual([tries.length, health.probes.size, log.length], [1, 0, 0]);
});
