import assert from "node:assert/strict";
import { test } from "node:test";
import { HealthState } from "./health-state.ts";

const [login, stun] = ["derp-login-ipv4", "stun-ipv4"];

test("a relay is unhealthy while one of its probes is failing, and names it", () => {
  const health = new HealthState();
  const lines: (string | undefined)[] = [];
  let now = 0;
  const round = (...broken: readonly string[]): readonly string[] => {
    now += 5_000;
    for (const probe of [login, stun]) {
      const line = health.note(probe, broken.includes(probe) ? "nobody answered" : undefined, now);
      if (line !== undefined) lines.push(line);
    }
    return health.failing;
  };
  assert.deepEqual([health.failing, health.probes.size], [[], 0]);
  assert.deepEqual([round(), round(stun), round(stun)], [[], [], []]);
  assert.deepEqual([round(stun), round(stun, login), round(login)], [[stun], [stun], [stun]]);
  assert.deepEqual([round(login), round(login), round()], [[stun, login].toSorted(), [login], [login]]);
  assert.deepEqual([round(), round()], [[login], []]);
  assert.deepEqual(lines, [
    "unhealthy: the self-probe stun-ipv4 failed 3 times within 15 s, at last because nobody answered",
    "unhealthy: the self-probe derp-login-ipv4 failed 3 times within 15 s, at last because nobody answered",
    "the self-probe stun-ipv4 passes again; unhealthy still: derp-login-ipv4",
    "the self-probe derp-login-ipv4 passes again; healthy",
  ]);
  assert.deepEqual(health.probes.get(stun)?.failed, 4);
  assert.deepEqual(health.probes.get(stun)?.passed, 7);
});

test("a probe that has never passed is told of once, and the relay counts as well", () => {
  const health = new HealthState();
  const lines = [1, 2, 3, 4].map((second) => health.note(stun, "UDP is not permitted", second * 1_000));
  assert.deepEqual(lines, [
    "the self-probe stun-ipv4 counts once it has passed; for now, UDP is not permitted",
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(health.failing, []);
  assert.equal(health.probes.get(stun)?.failed, 4);
});
