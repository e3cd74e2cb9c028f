import assert from "node:assert/strict";
import { test } from "node:test";
import { ownAddresses } from "./own-addresses.ts";

const both = ["127.0.0.1", "::1", "192.0.2.1"];

test("a listener on every address is asked over loopback, over the families that it listens on", () => {
  assert.deepEqual(ownAddresses("::", both), ["127.0.0.1", "::1"]);
  assert.deepEqual(ownAddresses("0:0::0", both), ["127.0.0.1", "::1"]);
  assert.deepEqual(ownAddresses("0.0.0.0", both), ["127.0.0.1"]);
});

test("a family that loopback lacks is not asked", () => {
  assert.deepEqual(ownAddresses("::", ["127.0.0.1", "2001:db8::1"]), ["127.0.0.1"]);
  assert.deepEqual(ownAddresses("::", ["::1"]), ["::1"]);
  assert.deepEqual(ownAddresses("0.0.0.0", []), []);
});

test("a listener on one address is asked there, also if that address has gone meanwhile", () => {
  for (const address of ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "127.0.0.1"]) {
    assert.deepEqual(ownAddresses(address, []), [address]);
  }
});
