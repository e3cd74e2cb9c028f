import assert from "node:assert/strict";
import { test } from "node:test";
import { askAgainAfter, isShortLived, overdueAt, pickTime, plainDue } from "./renewal.ts";

const day = 86_400_000;
const begin = Date.parse("2026-01-01T00:00:00Z");
const lives = (days: number): { notBefore: number; notAfter: number } => ({
  notBefore: begin,
  notAfter: begin + days * day,
});

test("a certificate is due when a third of its lifetime is left, and at half if it lives less than 10 days", () => {
  for (const [days, due] of [
    [90, 60],
    [45, 30],
    [10, 20 / 3],
    [9.9, 4.95],
    [6, 3],
    [1 / 1_440, 0.5 / 1_440],
  ] as const) {
    assert.equal(plainDue(lives(days)), Math.round(begin + due * day), `${days} days`);
    assert.equal(isShortLived(lives(days)), days < 10);
  }
});

test("one that was never valid is due since ever", () => {
  for (const broken of [
    lives(0),
    lives(-1),
    { notBefore: Number.NaN, notAfter: begin },
    { notBefore: begin, notAfter: Number.NaN },
  ])
    assert.equal(plainDue(broken), 0);
});

test("a renewal is overdue by a tenth of the lifetime, counted from when it was due", () => {
  assert.equal(overdueAt(lives(90), plainDue(lives(90))), begin + 69 * day);
  assert.equal(overdueAt(lives(6), begin + day), Math.round(begin + 1.6 * day));
  for (const broken of [lives(-1), { notBefore: Number.NaN, notAfter: 0 }])
    assert.equal(overdueAt(broken, 7), 7);
});

test("a time is picked anywhere in the CA's window, and now if that is past", () => {
  const window = { start: begin, end: begin + 100 };
  assert.deepEqual(
    [0, 0.25, 0.5, 1].map((random) => pickTime(window, 0, random)),
    [begin, begin + 25, begin + 50, begin + 100],
  );
  assert.equal(pickTime(window, begin + 60, 0.5), begin + 60, "a window that is half over");
  assert.equal(pickTime(window, begin + day, 0.5), begin + day);
});

test("a window that ends before it begins is none", () => {
  for (const [start, end] of [
    [5, 5],
    [6, 5],
    [Number.NaN, 5],
    [5, Number.NaN],
  ] as const)
    assert.equal(pickTime({ start, end }, 0, 0.5), undefined);
});

test("the CA is asked again when it says so, within a minute and a day, and else in six hours", () => {
  const hour = 3_600_000;
  for (const [said, wait] of [
    [undefined, 6 * hour],
    [2 * hour, 2 * hour],
    [0, 60_000],
    [-5, 60_000],
    [59_999, 60_000],
    [99 * day, day],
    [Number.POSITIVE_INFINITY, day],
    [Number.NaN, 60_000],
  ] as const)
    assert.equal(askAgainAfter(said), wait, `${said}`);
});
