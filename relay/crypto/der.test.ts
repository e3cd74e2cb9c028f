import assert from "node:assert/strict";
import test from "node:test";
import * as der from "./der.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const integer = (...bytes: number[]) => hex(der.unsignedInteger(Buffer.from(bytes)));
const time = (text: string) => der.time(new Date(text)).toString("latin1");

test("a length takes one byte up to 127 and its own length before it from 128 on", () => {
  const header = (length: number) => hex(der.octetString(Buffer.alloc(length)).subarray(0, -length));
  assert.equal(hex(der.octetString(Buffer.alloc(0))), "0400");
  assert.equal(header(127), "047f");
  assert.equal(header(128), "048180");
  assert.equal(header(255), "0481ff");
  assert.equal(header(256), "04820100");
  assert.equal(header(65_536), "0483010000");
});

test("an unsigned integer is as short as can be and never reads as negative", () => {
  assert.equal(integer(), "020100");
  assert.equal(integer(0), "020100");
  assert.equal(integer(0x7f), "02017f");
  assert.equal(integer(0x80), "02020080");
  assert.equal(integer(0, 0, 0x01, 0x00), "02020100");
  assert.equal(integer(0, 0xff, 0x00), "020300ff00");
});

test("an object identifier packs its first two numbers and spreads large ones over bytes", () => {
  assert.equal(hex(der.objectIdentifier("2.5.4.3")), "0603550403");
  assert.equal(hex(der.objectIdentifier("1.2.840.113549")), "06062a864886f70d");
  assert.equal(hex(der.objectIdentifier("1.2.840.10045.4.3.2")), "06082a8648ce3d040302");
  assert.equal(hex(der.objectIdentifier("2.999.3")), "0603883703");
});

test("a time is UTCTime until 2049 and GeneralizedTime from 2050 on, in whole seconds", () => {
  assert.equal(time("2049-12-31T23:59:59.999Z"), "\x17\x0d491231235959Z");
  assert.equal(time("2050-01-01T00:00:00Z"), "\x18\x0f20500101000000Z");
  assert.equal(time("1950-01-01T00:00:00Z"), "\x17\x0d500101000000Z");
  assert.equal(time("1949-12-31T23:59:59Z"), "\x18\x0f19491231235959Z");
});

test("elements nest, and strings, flags and tags have their own forms", () => {
  const nested = der.sequence(der.setOfOne(der.booleanTrue()), der.bitString(Buffer.of(0xa0), 5));
  assert.equal(hex(nested), "300931030101ff030205a0");
  assert.equal(hex(der.printableString("ab")), "13026162");
  assert.equal(hex(der.utf8String("é")), "0c02c3a9");
  assert.equal(hex(der.explicit(3, der.sequence())), "a3023000");
  assert.equal(hex(der.implicit(7, Buffer.of(127, 0, 0, 1))), "87047f000001");
});
