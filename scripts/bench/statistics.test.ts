import assert from "node:assert/strict";
import test from "node:test";
import { crowding, fillIn, median, percentile } from "./statistics.ts";

test("the median is the middle one, or between the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([10, 9, 1, 2]), 5.5);
  assert.equal(median([7]), 7);
});

test("numbers are put in order as numbers, and the list that is given stays as it is", () => {
  const values = [100, 9, 20];
  assert.equal(median(values), 20);
  assert.equal(percentile(values, 1), 100);
  assert.deepEqual(values, [100, 9, 20]);
});

test("a percentile is a value that occurred", () => {
  const values = Array.from({ length: 200 }, (_, index) => index + 1);
  assert.equal(percentile(values, 0.99), 198);
  assert.equal(percentile(values, 0.5), 100);
  assert.equal(percentile(values, 0.001), 1);
  assert.equal(percentile([5], 0.99), 5);
});

test("crowding is the fullest stretch's part, its end not included", () => {
  assert.equal(crowding([0, 1, 2, 3, 4], 1), 1 / 5);
  assert.equal(crowding([0, 0.5, 0.9, 1, 4], 1), 3 / 5);
  assert.equal(crowding([4, 0, 4.1, 9, 4.2], 1), 3 / 5);
  assert.equal(crowding([2, 2, 2], 1), 1);
});

test("nothing has neither median nor percentile nor crowd", () => {
  for (const ask of [() => median([]), () => percentile([], 0.5), () => crowding([], 1)]) {
    assert.throws(ask, RangeError);
  }
});

test("a long wait stands for those that it held up", () => {
  assert.deepEqual(fillIn([5, 50, 20, 21], 20), [5, 50, 30, 10, 20, 21, 1]);
  assert.deepEqual(fillIn([], 20), []);
});
