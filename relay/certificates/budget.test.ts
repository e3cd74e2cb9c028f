import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attempt, findExhausted, forgetOld, type Outcome } from "./budget.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.parse("2026-06-01T00:00:00Z");
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
const ownCa = "https://ca.example/acme/directory";

const order = (directory: string, replaces = false) => ({ identifier: "relay.example", directory, replaces });

/** Attempts at times before now. */
function past(
  outcome: Outcome,
  agoMs: readonly number[],
  directory = letsEncrypt,
  replaces = false,
): Attempt[] {
  return agoMs.map((ago) => ({ at: now - ago, directory, outcome, replaces }));
}

test("the sixth certificate for the same name waits until the first is a week old", () => {
  const days = [6.5 * day, 4 * day, 3 * day, 2 * day, 1 * day];
  assert.equal(findExhausted(past("issued", days.slice(1)), order(letsEncrypt), now), undefined);
  assert.deepEqual(findExhausted(past("issued", days), order(letsEncrypt), now), {
    until: now + day / 2,
    why: "5 certificates for relay.example were issued in the last 7 days; the CA's limit",
  });
  const justOver = past("issued", [7 * day, ...days.slice(1)]);
  assert.equal(findExhausted(justOver, order(letsEncrypt), now), undefined);
});

test("renewals that name what they replace neither count nor are bound", () => {
  const issued = past(
    "issued",
    [5, 4, 3, 2, 1].map((ago) => ago * day),
  );
  assert.equal(findExhausted(issued, order(letsEncrypt, true), now), undefined);
  const renewals = past("issued", [5, 4, 3, 2, 1], letsEncrypt, true);
  assert.equal(findExhausted(renewals, order(letsEncrypt), now), undefined);
});

test("only Let's Encrypt's production counts certificates", () => {
  for (const directory of [
    ownCa,
    "https://acme-staging-v02.api.letsencrypt.org/directory",
    "https://acme-v02.api.letsencrypt.org.example/directory",
    "not a URL",
  ]) {
    const issued = past("issued", [5, 4, 3, 2, 1], directory);
    assert.equal(findExhausted(issued, order(directory), now), undefined, directory);
  }
  for (const spelling of [letsEncrypt.toUpperCase(), "https://acme-v02.api.letsencrypt.org:443/directory"])
    assert.ok(findExhausted(past("issued", [5, 4, 3, 2, 1], spelling), order(spelling), now));
});

test("the fifth validation of an hour, of which four failed, waits; one is left to a person", () => {
  for (const directory of [letsEncrypt, ownCa]) {
    const failed = past("invalid", [50 * minute, 30 * minute, 20 * minute, 10 * minute], directory);
    assert.equal(findExhausted(failed.slice(1), order(directory), now), undefined);
    assert.deepEqual(findExhausted(failed, order(directory), now), {
      until: now + 10 * minute,
      why: "4 validations of relay.example failed in the last hour; the CA's limit is 5",
    });
    assert.ok(findExhausted(failed, order(directory, true), now), "renewals are validated, too");
  }
});

test("an order that nobody knows the end of counts as what it may have become", () => {
  const ordered = past("ordered", [4, 3, 2, 1]);
  assert.match(findExhausted(ordered, order(letsEncrypt), now)?.why ?? "", /validations/);
  const finalizing = past("finalizing", [5, 4, 3, 2, 1]);
  assert.match(findExhausted(finalizing, order(letsEncrypt), now)?.why ?? "", /certificates/);
});

test("a private CA's certificates of two minutes are renewed as often as they need", () => {
  const renewals = Array.from({ length: 180 }, (_, index) => index * minute);
  assert.equal(findExhausted(past("issued", renewals, ownCa), order(ownCa), now), undefined);
});

test("one order fewer than 300 in three hours is made, whatever becomes of them", () => {
  const often = Array.from({ length: 299 }, (_, index) => 1_000 + index * 30_000);
  for (const outcome of ["issued", "ended"] as const) {
    const attempts = past(outcome, often, ownCa);
    assert.equal(findExhausted(attempts.slice(1), order(ownCa), now), undefined);
    assert.equal(findExhausted(attempts, order(ownCa), now)?.until, now - 1_000 - 298 * 30_000 + 3 * hour);
  }
});

test("of several limits the one that binds longest is told", () => {
  const attempts = [...past("issued", [5, 4, 3, 2, 1]), ...past("invalid", [4, 3, 2, 1])];
  assert.equal(findExhausted(attempts, order(letsEncrypt), now)?.until, now - 5 + 7 * day);
});

test("each CA has its own limits", () => {
  const failed = past("invalid", [4, 3, 2, 1], ownCa);
  assert.equal(findExhausted(failed, order(letsEncrypt), now), undefined);
});

test("more than are allowed, and in any order, are counted from the newest", () => {
  const failed = past("invalid", [3, 50 * minute, 1, 40 * minute, 2, 4]);
  assert.equal(findExhausted(failed, order(ownCa), now), undefined);
  assert.equal(findExhausted(failed, order(letsEncrypt), now)?.until, now - 4 + hour);
});

test("what was noted before a clock was set back counts unless it lies too far ahead", () => {
  const ahead = past("invalid", [-30 * minute, -20 * minute, -10 * minute, -5 * minute]);
  assert.equal(findExhausted(ahead, order(letsEncrypt), now)?.until, now + 5 * minute + hour);
  const farAhead = past(
    "invalid",
    [1, 2, 3, 4].map((years) => -years * 365 * day),
  );
  assert.equal(findExhausted(farAhead, order(letsEncrypt), now), undefined);
});

test("what no limit looks at any more is forgotten", () => {
  const kept = [
    ...past("issued", [6 * day]),
    ...past("invalid", [2 * hour]),
    ...past("issued", [2 * hour], ownCa),
    ...past("ended", [-day]),
  ];
  const gone = [
    ...past("issued", [7 * day]),
    ...past("issued", [6 * day], letsEncrypt, true),
    ...past("invalid", [3 * hour]),
    ...past("issued", [3 * hour], ownCa),
  ];
  assert.deepEqual(forgetOld([...gone, ...kept], now), kept);
});
