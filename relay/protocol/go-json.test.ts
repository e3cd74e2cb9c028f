import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearlyJson } from "../testing/nearly-json.ts";
import { bool, buildStructReader, int, string } from "./go-json.ts";

interface Mask {
  /** Both letters that have a third case. */
  readonly mask: string;
  readonly size: number;
  readonly isOn: boolean;
}

const read = buildStructReader<Mask>({ mask: string, size: int, isOn: bool });

function readJson(json: string | Uint8Array): Partial<Mask> | undefined {
  return read(Buffer.from(json));
}

test("fields are read by type, others are passed over, and null gives none", () => {
  const all = '{"mask":"a","size":-7,"isOn":true,"more":[{"size":"x"}],"":{"isOn":3}}';
  assert.deepEqual(readJson(all), { mask: "a", size: -7, isOn: true });
  assert.deepEqual(readJson(" \t\r\n{ } \n"), {});
  assert.deepEqual(readJson("null"), {});
  for (const json of ["true", "0", '"mask"', "[]", '[{"size":1}]'])
    assert.equal(readJson(json), undefined, json);
});

test("names match in every case that Unicode's simple folding knows, however they are written", () => {
  for (const name of ["MASK", "mA\u017FK", "mas\u212A", "\\u006dask", "ma\\u017f\\u212a"]) {
    assert.deepEqual(readJson(`{"${name}":"a"}`), { mask: "a" }, name);
  }
  for (const name of ["mask ", "mas", "masks", "m\u0430sk", "mass\u212A", "mask\\u0000", "\\\\mask"]) {
    assert.deepEqual(readJson(`{"${name}":7}`), {}, name);
  }
  assert.deepEqual(
    readJson('{"\u0131sOn":7,"\u0130sOn":7}'),
    {},
    "I without and with a dot fold to themselves",
  );
});

test("of several values for a field each is checked, and the last that says something counts", () => {
  assert.deepEqual(readJson('{"size":1,"SIZE":2,"size":null}'), { size: 2 });
  assert.deepEqual(readJson('{"size":null,"mask":null,"isOn":null}'), {});
  assert.equal(readJson('{"size":"1","size":2}'), undefined);
  assert.equal(readJson('{"size":1,"Size":1.0}'), undefined);
});

test("a whole number has 64 bits and neither point nor exponent", () => {
  const numbers = {
    "0": 0,
    "-0": 0,
    "-1": -1,
    "9223372036854775807": 2 ** 63,
    "-9223372036854775808": -(2 ** 63),
  };
  for (const [literal, size] of Object.entries(numbers)) {
    assert.deepEqual(readJson(`{"size":${literal}}`), { size }, literal);
  }
  for (const literal of [
    "2.0",
    "2e0",
    "2E1",
    "9223372036854775808",
    "-9223372036854775809",
    "1".repeat(20),
    "1".repeat(100_000),
    '"2"',
    "true",
    "[2]",
    '{"size":2}',
  ]) {
    assert.equal(readJson(`{"size":${literal}}`), undefined, literal.slice(0, 30));
  }
});

test("a field of another type has a wrong value", () => {
  for (const literal of ['"true"', "1", "0", "{}", "[]"]) {
    assert.equal(readJson(`{"isOn":${literal}}`), undefined, literal);
  }
  for (const literal of ["1", "true", '["a"]', "{}"]) {
    assert.equal(readJson(`{"mask":${literal}}`), undefined, literal);
  }
});

test("U+FFFD stands for each byte that is not UTF-8, and for half a surrogate pair", () => {
  const mask = (...bytes: readonly number[]): string | undefined =>
    readJson(Buffer.concat([Buffer.from('{"mask":"'), Buffer.from(bytes), Buffer.from('"}')]))?.mask;
  assert.equal(mask(0xff), "\uFFFD");
  assert.equal(mask(0x61, 0xe2, 0x82, 0x62), "a\uFFFD\uFFFDb", "a character cut off");
  assert.equal(mask(0xed, 0xa0, 0x80), "\uFFFD\uFFFD\uFFFD", "a surrogate");
  assert.equal(mask(0xc0, 0xaf), "\uFFFD\uFFFD", "too many bytes for a slash");
  assert.equal(mask(0xf4, 0x90, 0x80, 0x80), "\uFFFD\uFFFD\uFFFD\uFFFD", "beyond U+10FFFF");
  assert.equal(mask(0x7f, ...Buffer.from("é€😀\u2028")), "\x7Fé€😀\u2028");
  assert.deepEqual(readJson(String.raw`{"mask":"\ud800x\udc00\ud83d\ude00\"\\\/\b\f\n\r\t\u0000"}`), {
    mask: '\uFFFDx\uFFFD😀"\\/\b\f\n\r\t\0',
  });
});

test("a document may be 10,000 deep and no deeper, and a longer one costs no stack", () => {
  const nest = (open: string, close: string, depth: number): string =>
    `{"a":${open.repeat(depth - 1)}0${close.repeat(depth - 1)}}`;
  for (const [open, close] of [
    ["[", "]"],
    ['{"b":', "}"],
  ] as const) {
    assert.deepEqual(readJson(nest(open, close, 10_000)), {});
    assert.equal(readJson(nest(open, close, 10_001)), undefined);
  }
  assert.deepEqual(readJson(`{"a":${"[".repeat(9_999)}${"]".repeat(9_999)}}`), {});
  assert.equal(readJson(`{"a":${"[".repeat(9_999)}[]${"]".repeat(9_999)}}`), undefined);
  assert.equal(readJson("[".repeat(262_144)), undefined);
  assert.deepEqual(readJson(`{"a":[${"[],".repeat(80_000)}0]}`), {});
});

test("what is JSON and what is not is what JSON.parse says", () => {
  const readNone = buildStructReader<{ nobodyHasThisName: string }>({ nobodyHasThisName: string });
  const soup = fc
    .string({ unit: fc.constantFrom(...'{}[]",:0-1.e\\ntrue '.split("")) })
    .map((text) => Buffer.from(text));
  fc.assert(
    fc.property(fc.oneof(nearlyJson(fc.json({ maxDepth: 3 }), 2), soup), (bytes) => {
      let document: unknown = "not JSON";
      try {
        document = JSON.parse(bytes.toString());
      } catch {}
      const isStruct = typeof document === "object" && !Array.isArray(document);
      assert.equal(readNone(bytes) !== undefined, isStruct, bytes.toString());
    }),
    { numRuns: 2_000 },
  );
});

test("what a field holds is what JSON.parse finds, wherever in the document it is", () => {
  const some = { mask: fc.string({ unit: "binary" }), size: fc.maxSafeInteger(), isOn: fc.boolean() };
  const others = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(fc.record(some, { requiredKeys: [] }), others, fc.nat(2), (fields, more, indent) => {
      const unknown = Object.entries(more).filter(([name]) => !/^(?:mask|size|isOn)$/iu.test(name));
      const json = JSON.stringify({ ...Object.fromEntries(unknown), ...fields }, null, indent);
      assert.deepEqual(readJson(json), {
        ...fields,
        ...(fields.mask && { mask: fields.mask.toWellFormed() }),
      });
    }),
  );
});

test("any bytes are read without an exception", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void readJson(bytes)));
});

test("of the first value alone nothing is asked of what follows", () => {
  const readFirst = buildStructReader<Mask>({ mask: string, size: int, isOn: bool }, { firstOnly: true });
  for (const rest of ["", " ", "garbage", '{"size":"2"}', "}"]) {
    assert.deepEqual(readFirst(Buffer.from(` {"size":1}${rest}`)), { size: 1 }, rest);
  }
  for (const json of ["", '{"size":1', '{"size":"1"}', "[]{}"]) {
    assert.equal(readFirst(Buffer.from(json)), undefined, json);
  }
});
