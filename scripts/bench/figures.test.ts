import assert from "node:assert/strict";
import test from "node:test";
import { type Figure, judge, type Target, targetOf, timesBetter } from "./figures.ts";

const cost: Figure = { value: "cpu", label: "CPU", unit: "µs", better: "less" };
const rate: Figure = { value: "pps", label: "goodput", unit: "packets/s", better: "more" };
const asking = (target: Target): Figure => ({ ...cost, target });

test("half the cost and twice the rate are both two times better", () => {
  assert.equal(timesBetter(cost, 3, 1.5), 2);
  assert.equal(timesBetter(rate, 3, 6), 2);
  assert.equal(timesBetter(cost, 1, 2), 0.5);
});

test("two zeros are alike, and nothing is compared with what is missing", () => {
  assert.equal(timesBetter(cost, 0, 0), 1);
  assert.equal(timesBetter(cost, 1, 0), Infinity);
  assert.equal(timesBetter(cost, undefined, 1), undefined);
  assert.equal(timesBetter(cost, 1, undefined), undefined);
});

test("a bound is met at its edge, a limit is not", () => {
  const verdict = (target: Target, bun: number): string => judge(asking(target), "bun", { derper: 10, bun });
  assert.equal(verdict({ kind: "times", least: 2 }, 5), "met");
  assert.equal(verdict({ kind: "times", least: 2 }, 5.01), "missed");
  assert.equal(verdict({ kind: "at-most", most: 4 }, 4), "met");
  assert.equal(verdict({ kind: "at-most", most: 4 }, 4.001), "missed");
  assert.equal(verdict({ kind: "under", limit: 4 }, 3.999), "met");
  assert.equal(verdict({ kind: "under", limit: 4 }, 4), "missed");
  assert.equal(verdict({ kind: "exactly", value: 100 }, 100), "met");
  assert.equal(verdict({ kind: "exactly", value: 100 }, 99.99), "missed");
});

test("a figure is held against what is asked of the runtime, not of the other", () => {
  const figure: Figure = {
    ...cost,
    target: { bun: { kind: "times", least: 2.5 }, node: { kind: "times", least: 1.6 } },
  };
  const values = { derper: 2, node: 1, bun: 1 };
  assert.equal(judge(figure, "node", values), "met");
  assert.equal(judge(figure, "bun", values), "missed");
  assert.deepEqual(targetOf(figure, "node"), { kind: "times", least: 1.6 });
});

test("without derper a ratio is unmeasured, and an absolute figure is judged nevertheless", () => {
  assert.equal(judge(asking({ kind: "times", least: 2 }), "bun", { bun: 1 }), "unmeasured");
  assert.equal(judge(asking({ kind: "at-most", most: 2 }), "bun", { bun: 1 }), "met");
  assert.equal(judge(asking({ kind: "at-most", most: 2 }), "bun", { derper: 1 }), "unmeasured");
  assert.equal(judge(cost, "bun", { derper: 1, bun: 9 }), "not asked");
});
