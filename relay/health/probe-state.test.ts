import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { advance, type ProbeState, unproven } from "./probe-state.ts";

/** Results in seconds: positive passed then, negative failed then. @returns the state after each */
function play(...results: readonly number[]): ProbeState["kind"][] {
  let state: ProbeState = unproven;
  return results.map((second) => {
    state = advance(state, second > 0, Math.abs(second) * 1_000);
    return state.kind;
  });
}

const last = (...results: readonly number[]): ProbeState["kind"] | undefined => play(...results).at(-1);

test("three failures within 15 s and the probe is failing, and not before", () => {
  assert.deepEqual(play(1, -6, -11, -16), ["well", "well", "well", "failing"]);
  assert.equal(last(1, -5, -12.5, -20), "failing", "exactly 15 s");
  assert.equal(last(1, -5, -12.5, -20.001), "well", "longer ago than 15 s");
});

test("a pass between failures does not hide them", () => {
  assert.equal(last(1, -5, -10, 15, -20), "failing");
});

test("every other result a failure is bad, and not failing", () => {
  assert.equal(last(1, -5, 10, -15, 20, -25, 30, -35, 40, -45), "well");
});

test("three passes in a row and it is well again, with nothing held against it", () => {
  const ill = [1, -5, -10, -15];
  assert.equal(last(...ill, 20, 25), "failing");
  assert.equal(last(...ill, 20, 25, -30, 35, 40), "failing", "in a row");
  assert.equal(last(...ill, 16, 17, 18), "well");
  assert.equal(last(...ill, 16, 17, 18, -19, -20), "well");
  assert.equal(last(...ill, 16, 17, 18, -19, -20, -21), "failing");
});

test("what has never passed does not count, and does from its first pass on", () => {
  assert.equal(last(-1, -2, -3, -4, -5), "unproven");
  assert.deepEqual(play(-1, -2, -3, 4, -5, -6, -7).slice(3), ["well", "well", "well", "failing"]);
});

test("a machine that was suspended for an hour comes back well, whatever failed before and as it woke", () => {
  assert.equal(last(1, -6, -11, -3_611, 3_616), "well");
});

test("it fails exactly when three failures since it was well lie within 15 s", () => {
  const steps = fc.array(fc.record({ passed: fc.boolean(), after: fc.integer({ min: 0, max: 12_000 }) }));
  fc.assert(
    fc.property(steps, (results) => {
      let state = advance(unproven, true, 0);
      let [now, failures]: [number, number[]] = [0, []];
      for (const { passed, after } of results) {
        now += after;
        const before = state;
        state = advance(state, passed, now);
        if (before.kind === "failing") {
          failures = [];
          continue;
        }
        if (!passed) failures.push(now);
        const third = failures.at(-3);
        assert.equal(state.kind === "failing", !passed && third !== undefined && now - third <= 15_000);
      }
    }),
  );
});
