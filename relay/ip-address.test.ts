import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import test from "node:test";
import * as fc from "fast-check";
import { decodeIp, encodeIp, normaliseIp, unmapIp } from "./ip-address.ts";

const hex = (text: string) => encodeIp(text)?.toString("hex");

test("an address is encoded in network order, whichever way it is written", () => {
  assert.equal(hex("192.0.2.33"), "c0000221");
  assert.equal(hex("2001:db8::33"), "20010db8000000000000000000000033");
  assert.equal(hex("2001:DB8:0:0:0:0:0:33"), "20010db8000000000000000000000033");
  assert.equal(hex("::"), "0".repeat(32));
  assert.equal(hex("::ffff:192.0.2.33"), "00000000000000000000ffffc0000221");
  assert.equal(hex("fe80::1%eth0"), "fe800000000000000000000000000001");
});

test("text that is no address is not encoded", () => {
  for (const text of ["", "none", "1.2.3", "1.2.3.256", "::1::", "[::1]", "example.com"]) {
    assert.equal(encodeIp(text), undefined, text);
  }
});

test("an address is decoded to its shortest text, a v4-mapped one to IPv4", () => {
  assert.equal(decodeIp(Buffer.from("c0000221", "hex")), "192.0.2.33");
  assert.equal(decodeIp(Buffer.from("20010db8000000000000000000000033", "hex")), "2001:db8::33");
  assert.equal(decodeIp(Buffer.from("00000000000000000000ffffc0000221", "hex")), "192.0.2.33");
  assert.equal(decodeIp(Buffer.alloc(5)), undefined);
});

test("what a dual-stack socket reports is normalised to what Go would print", () => {
  assert.equal(normaliseIp("::ffff:192.0.2.33"), "192.0.2.33");
  assert.equal(normaliseIp("192.0.2.33"), "192.0.2.33");
  assert.equal(normaliseIp("fe80::1%eth0"), "fe80::1");
  assert.equal(normaliseIp("none"), undefined);
});

test("every address survives decoding and encoding", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, (address) => {
      const text = decodeIp(address) ?? "";
      assert.deepEqual(encodeIp(text), Buffer.from(unmapIp(address)));
    }),
  );
});

test("every way of writing an IPv6 address that Node accepts is encoded in 16 bytes", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      fc.pre(isIPv6(text));
      const bytes = encodeIp(text);
      assert.equal(bytes?.length, 16);
      assert.equal(
        encodeIp(decodeIp(bytes) ?? "")?.toString("hex"),
        Buffer.from(unmapIp(bytes)).toString("hex"),
      );
    }),
  );
});
