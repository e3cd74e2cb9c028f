import assert from "node:assert/strict";
import test from "node:test";
import { findRetryAfter, parseRetryAfter } from "./retry-after.ts";

const now = Date.parse("2026-01-02T03:00:00Z");
const weekMs = 7 * 86_400_000;

test("a Retry-After is seconds or a date, between nothing and a week", () => {
  for (const [header, ms] of [
    ["0", 0],
    ["120", 120_000],
    [" 5 ", 5_000],
    ["99999999999999999999", weekMs],
    ["Fri, 02 Jan 2026 03:00:10 GMT", 10_000],
    ["Friday, 02-Jan-26 03:00:10 GMT", 10_000],
    ["Fri, 02 Jan 2026 02:00:00 GMT", 0],
    ["Fri, 02 Jan 2099 02:00:00 GMT", weekMs],
  ] as const) {
    assert.equal(parseRetryAfter(header, now), ms, header);
  }
});

test("what is neither is none", () => {
  for (const header of [undefined, "", "soon", "-1", "1.5", "1e3", "2026-01-02", "Foo, bar GMT"]) {
    assert.equal(parseRetryAfter(header, now), undefined, String(header));
  }
});

test("a time in a sentence is found as Let's Encrypt writes it", () => {
  const sentence = (time: string) =>
    `too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after ${time}: see https://ca.example/limits`;
  assert.equal(findRetryAfter(sentence("2026-01-02 03:04:05 UTC"), now), 245_000);
  assert.equal(findRetryAfter(sentence("2026-01-02T03:04:05Z"), now), 245_000);
  assert.equal(findRetryAfter(sentence("2026-01-01 03:04:05 UTC"), now), 0);
  for (const time of ["2026-13-02 03:04:05 UTC", "a while", "2026-01-02 03:04:05 CET"]) {
    assert.equal(findRetryAfter(sentence(time), now), undefined, time);
  }
});
