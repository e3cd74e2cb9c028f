import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admits, allow, combineVerdicts, deny, unknown, type Verdict } from "./verdict.ts";

const open: Verdict = { ...unknown("unreachable"), failOpen: true };

const anyVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constant(allow),
  fc.nat().map((asOf): Verdict => ({ kind: "allow", asOf })),
  fc.string().map(deny),
  fc.string().map(unknown),
  fc.constant(open),
);

test("a client comes in only if every mode lets it in, whatever their order", () => {
  fc.assert(
    fc.property(fc.array(anyVerdict), (verdicts) => {
      assert.equal(admits(combineVerdicts(verdicts)), verdicts.every(admits));
      assert.equal(combineVerdicts(verdicts).kind, combineVerdicts(verdicts.toReversed()).kind);
    }),
  );
});

test("one denial outweighs any number of modes that do not know or allow", () => {
  fc.assert(
    fc.property(fc.array(anyVerdict), fc.array(anyVerdict), (before, after) => {
      assert.equal(combineVerdicts([...before, deny("no"), ...after]).kind, "deny");
    }),
  );
});

test("a mode that fails open does not open another one that does not know", () => {
  assert.deepEqual(combineVerdicts([open, unknown("broken"), allow]), unknown("broken"));
  assert.deepEqual(combineVerdicts([allow, open]), open);
});

test("an allowance is as old as its oldest part", () => {
  const verdicts: Verdict[] = [{ kind: "allow", asOf: 7 }, { kind: "allow", asOf: 5 }, allow];
  assert.deepEqual(combineVerdicts(verdicts), { kind: "allow", asOf: 5 });
  assert.deepEqual(combineVerdicts([...verdicts, open]), { ...open, asOf: 5 });
});

test("nobody asked means allowed", () => {
  assert.deepEqual(combineVerdicts([]), allow);
});
