import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isRolledOut, parseRollout } from "./rollout.ts";

const notDrawn = (): number => assert.fail("nothing is drawn");
const half = (address: string) => isRolledOut(0.5, address, notDrawn);

test("113. Given upstream's percentage table, then equal.", () => {
  const table = { 4: true, 5: true, 6: false, 7: true, 8: false, 9: true, 10: true };
  for (const [last, expected] of Object.entries(table)) assert.equal(half(`1.2.3.${last}`), expected, last);
  assert.equal(isRolledOut(0, "10.0.0.1", notDrawn), false);
  assert.equal(isRolledOut(1, "10.0.0.1", notDrawn), true);
  assert.equal(isRolledOut(1, "", notDrawn), true);
  assert.equal(isRolledOut(0, "", notDrawn), false);
  assert.equal(half(""), false);
});

test("113. Over 65 536 addresses at 50 %, between 49.5 and 50.5 % match.", () => {
  let matches = 0;
  for (let index = 0; index < 65_536; index++) if (half(`1.2.${index >> 8}.${index & 255}`)) matches++;
  assert.ok(Math.abs(matches / 65_536 - 0.5) < 0.005, `${matches} of 65536`);
});

test("an IPv6 address is drawn for as a whole, and a v4-mapped one as IPv4", () => {
  // What Go's math/rand/v2 draws for the seeds of the addresses.
  const draws = {
    "1.2.3.4": 0.068657977083725119,
    "::ffff:1.2.3.4": 0.068657977083725119,
    "255.255.255.255": 0.86873743164431994,
    "2001:db8::1": 0.17365074425987426,
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": 0.49751372484840173,
    "fe80::1%eth0": 0.33767084875785625,
    "::": 0.99992758248028335,
  };
  for (const [address, draw] of Object.entries(draws)) {
    assert.equal(isRolledOut(draw, address, notDrawn), false, address);
    assert.equal(isRolledOut(draw + 2 ** -53, address, notDrawn), true, address);
  }
});

test("who is in at one share is in at every larger one", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const share = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
  fc.assert(
    fc.property(address, share, share, (asker, one, other) => {
      const [less, more] = [Math.min(one, other), Math.max(one, other)];
      return !isRolledOut(less, asker, () => 0.5) || isRolledOut(more, asker, () => 0.5);
    }),
  );
});

test("loopback, where one tests, gets either answer", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(
      isRolledOut(0.5, address, () => 0.49),
      true,
      address,
    );
    assert.equal(
      isRolledOut(0.5, address, () => 0.5),
      false,
      address,
    );
  }
});

test("a percentage is a whole number from 0 to 100, and the last of several counts", () => {
  for (const [records, share] of [
    [["50"], 0.5],
    [["0"], 0],
    [["100"], 1],
    [["+7"], 0.07],
    [["007"], 0.07],
    [["1", "x", "2", "101"], 0.02],
  ] as const)
    assert.equal(parseRollout(records), share, records.join());
  for (const text of ["", " 50", "50 ", "50%", "5.0", "1e1", "0x10", "101", "-1", "half"])
    assert.equal(parseRollout([text]), undefined, text);
  assert.equal(parseRollout([]), undefined);
});
