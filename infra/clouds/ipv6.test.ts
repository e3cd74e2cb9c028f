import assert from "node:assert/strict";
import { test } from "node:test";
import { hostInNetwork } from "./ipv6.ts";

test("a machine has the first address of its network", () => {
  assert.equal(hostInNetwork("2001:db8:1:2::/64"), "2001:db8:1:2::1");
  assert.equal(hostInNetwork("2001:db8:c17::"), "2001:db8:c17::1");
});

test("what is no network of a machine is refused, an address among it", () => {
  for (const network of ["", "2001:db8::1/64", "192.0.2.0/24", "none"]) {
    assert.throws(() => hostInNetwork(network), RangeError);
  }
});
