import assert from "node:assert/strict";
import { test } from "node:test";
import { isPublicAddress } from "./public-addresses.ts";

test("addresses that providers give out are public", () => {
  for (const address of [
    "1.1.1.1",
    "192.0.1.1",
    "100.63.0.1",
    "2a01:4f8::1",
    "2600:1f18::5",
    "::ffff:8.8.8.8",
  ]) {
    assert.equal(isPublicAddress(address), true, address);
  }
});

test("addresses of this machine, of a private network, of tunnels and of documentation are not", () => {
  const addresses = [
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.100.100.100",
  ];
  const ipv6 = ["::1", "::", "fe80::1%eth0", "fd7a:115c:a1e0::1", "2001:db8::1", "2002:a00::1", "ff02::1"];
  for (const address of [...addresses, ...ipv6, "255.255.255.255", "203.0.113.5", "::ffff:10.0.0.1"]) {
    assert.equal(isPublicAddress(address), false, address);
  }
});

test("what is no address is not public", () => {
  for (const text of ["", "localhost", "1.1.1", "1.1.1.1/32"])
    assert.equal(isPublicAddress(text), false, text);
});
