import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { confirmMs, type EndReason, reviewStanding, type Standing } from "./standing.ts";
import { admits, allow, combineVerdicts, deny, unknown, type Verdict } from "./verdict.ts";

const day = 86_400_000;
const open: Verdict = { ...unknown("unreachable"), failOpen: true };

/** Reviews a session that was allowed at 0, at each of the times. */
function review(...checks: readonly (readonly [number, Verdict])[]): Standing | EndReason {
  let standing: Standing = { allowedAt: 0, deniedAt: undefined };
  for (const [time, verdict] of checks) {
    const outcome = reviewStanding(standing, verdict, time, day);
    if (typeof outcome === "string") return outcome;
    standing = outcome;
  }
  return standing;
}

test("one denial ends no session", () => {
  assert.deepEqual(review([1, deny("no")]), { allowedAt: 0, deniedAt: 1 });
});

test("a second denial 20 s after the first ends it, and not a millisecond earlier", () => {
  assert.deepEqual(review([1, deny("no")], [20_000, deny("no")]), { allowedAt: 0, deniedAt: 1 });
  assert.equal(review([1, deny("no")], [20_001, deny("no")]), "denied");
});

test("being allowed in between takes the first denial back", () => {
  assert.deepEqual(review([1, deny("no")], [10_000, allow], [30_000, deny("no")]), {
    allowedAt: 10_000,
    deniedAt: 30_000,
  });
});

test("not knowing in between does not", () => {
  assert.equal(review([1, deny("no")], [10_000, unknown("?")], [30_000, deny("no")]), "denied");
});

test("not knowing ends a session only when it was allowed longer ago than is tolerable", () => {
  assert.deepEqual(review([day, unknown("?")]), { allowedAt: 0, deniedAt: undefined });
  assert.equal(review([day + 1, unknown("?")]), "stale");
  assert.deepEqual(review([5, allow], [day + 5, unknown("?")]), { allowedAt: 5, deniedAt: undefined });
});

test("a mode that lets new clients in while it does not know keeps the old ones too", () => {
  assert.deepEqual(review([10 * day, open]), { allowedAt: 10 * day, deniedAt: undefined });
});

test("when it no longer does, after days, nobody is overdue at once", () => {
  const bad = unknown("the verify URL answers 502");
  assert.notEqual(review([2 * day, open], [3 * day, bad]), "stale");
  assert.equal(review([2 * day, open], [3 * day + 1, bad]), "stale");
});

test("a denial is not made up for by letting in without knowing", () => {
  assert.equal(review([1, deny("no")], [10_000, open], [30_000, deny("no")]), "denied");
});

test("a list that gets old while another mode lets everybody in ends sessions all the same", () => {
  const since = combineVerdicts([{ kind: "allow", asOf: 40 }, open]);
  assert.deepEqual(review([100, since]), { allowedAt: 40, deniedAt: undefined });
  assert.equal(review([100, since], [day + 41, unknown("the list is too old")]), "stale");
});

test("an allowance from an old list makes nobody younger than the list", () => {
  assert.deepEqual(review([100, { kind: "allow", asOf: 40 }]), { allowedAt: 40, deniedAt: undefined });
  assert.equal(review([day + 41, { kind: "allow", asOf: 40 }]), "stale");
});

test("whatever happens, a session ends by two denials 20 s apart with nothing allowed between, or for its age", () => {
  const step = fc.tuple(fc.nat(2 * confirmMs), fc.constantFrom(allow, deny("no"), unknown("?"), open));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(200_000), (steps, staleMs) => {
      let standing: Standing = { allowedAt: 0, deniedAt: undefined };
      let allowedAt = 0;
      let denials: number[] = [];
      let time = 0;
      for (const [wait, verdict] of steps) {
        time += wait;
        if (verdict.kind === "allow") denials = [];
        if (admits(verdict)) allowedAt = time;
        if (verdict.kind === "deny") denials.push(time);
        const confirmed: boolean = verdict.kind === "deny" && time - (denials[0] ?? time) >= confirmMs;
        const aged: boolean = verdict.kind === "unknown" && verdict !== open && time - allowedAt > staleMs;
        const outcome = reviewStanding(standing, verdict, time, staleMs);
        assert.equal(outcome === "denied", confirmed);
        assert.equal(outcome === "stale", aged);
        if (typeof outcome === "string") return;
        standing = outcome;
      }
    }),
  );
});
