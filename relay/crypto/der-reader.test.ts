import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import * as der from "./der.ts";
import { readElements, readSequence } from "./der-reader.ts";

const bytes = (hex: string) => Buffer.from(hex, "hex");

test("what the writer writes is found again, whatever its length", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const contents = Buffer.alloc(length, 7);
    const text = der.octetString(contents);
    const members = readSequence(der.sequence(text, der.booleanTrue()));
    assert.deepEqual(
      members?.map(({ tag }) => tag),
      [0x04, 0x01],
    );
    assert.deepEqual(members?.[0]?.contents, contents);
    assert.deepEqual(members?.[0]?.whole, text);
  }
  assert.deepEqual(readElements(Buffer.alloc(0)), []);
  assert.deepEqual(readSequence(der.sequence()), []);
});

test("a length that DER forbids, or that says more than there is, makes all unreadable", () => {
  for (const [what, hex] of [
    ["indefinite", "0480410000"],
    ["long form for a short length", "04810141"],
    ["leading zero", `04820080${"41".repeat(128)}`],
    ["five length bytes", "04850000000001"],
    ["cut off in the header", "04"],
    ["cut off in the length", "0482ff"],
    ["cut off in the contents", "040341"],
    ["a tag of several bytes", "1f810100"],
    ["a good element and then half a one", "0401410402"],
  ] as const) {
    assert.equal(readElements(bytes(hex)), undefined, what);
  }
});

test("a sequence is one element with nothing behind it", () => {
  assert.equal(readSequence(Buffer.alloc(0)), undefined);
  assert.equal(readSequence(der.octetString(Buffer.alloc(3))), undefined);
  assert.equal(readSequence(Buffer.concat([der.sequence(), der.sequence()])), undefined);
  assert.equal(readSequence(Buffer.concat([der.sequence(), Buffer.of(0)])), undefined);
});

test("any bytes are either unreadable or made of the elements that are read", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (input) => {
      const elements = readElements(input);
      if (elements === undefined) return;
      assert.deepEqual(Buffer.concat(elements.map(({ whole }) => whole)), Buffer.from(input));
    }),
  );
});
