import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseByOracle } from "../testing/oracle.ts";
import { anyValue, document } from "../testing/texts.ts";
import { JwccError, parseJwcc } from "./parse.ts";
import { positionOf, toJson } from "./tree.ts";

function read(text: string): unknown {
  return toJson(text, parseJwcc(text).root);
}

test("JSON is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(read(text), JSON.parse(text));
    }),
  );
});

test("comments and a comma behind the last item are no part of what is said", () => {
  const text = '// a\n{ /* b */ "x" /**/ : [1, // c\n 2,], /* d */ "y": {} , }// e';
  assert.deepEqual(read(text), { x: [1, 2], y: {} });
});

test("any text says what the oracle reads in it", () => {
  fc.assert(
    fc.property(document(anyValue), (text) => {
      assert.deepEqual(read(text), parseByOracle(text));
    }),
  );
});

for (const [text, place, what] of [
  ["", "1:1", /a value is missing/],
  ["\uFEFF{}", "1:1", /byte order mark/],
  ['{\n  "a": 1\n  "b": 2}', "3:3", /a comma or } is missing/],
  ['{"a": 1,, }', "1:9", /name of a member/],
  ["[1,,2]", "1:4", /a value is missing/],
  ["[,]", "1:2", /a value is missing/],
  ["{,}", "1:2", /name of a member/],
  ['{"a" 1}', "1:6", /colon/],
  ["{a: 1}", "1:2", /double quotes/],
  ["{'a': 1}", "1:2", /double quotes/],
  ["[01]", "1:2", /no value of JSON/],
  ["[1.]", "1:2", /no value of JSON/],
  ["[+1]", "1:2", /no value of JSON/],
  ["[NaN]", "1:2", /no value of JSON/],
  ["[True]", "1:2", /no value of JSON/],
  ['["\\x41"]', "1:3", /no such escape/],
  ['["a\nb"]', "1:4", /control character/],
  ['["a', "1:2", /this text has no end/],
  ["[1 /* a", "1:4", /comment has no end/],
  ["[1", "1:3", /ends too early/],
  ["{} {}", "1:4", /nothing but comments/],
  ["[1}\r\n", "1:3", /a comma or \] is missing/],
  ["{}\n/", "2:1", /nothing but comments/],
  ["[\u00A01]", "1:2", /a value is missing/],
  ["[".repeat(100_000), "1:501", /more than 500 brackets/],
] as const) {
  test(`a fault has a place: ${JSON.stringify(text.slice(0, 20))} at ${place}`, () => {
    assert.throws(
      () => parseJwcc(text),
      (error) => {
        assert.ok(error instanceof JwccError);
        assert.match(error.message, what);
        const { line, column } = positionOf(text, error.offset);
        assert.equal(`${line}:${column}`, place);
        return true;
      },
    );
  });
}

test("a text that lost a bracket, a quote or a comma between items is refused, or reads as the oracle reads it", () => {
  fc.assert(
    fc.property(document(anyValue), fc.nat(), (whole, at) => {
      const index = at % Math.max(whole.length, 1);
      const text = whole.slice(0, index) + whole.slice(index + 1);
      let found: unknown;
      try {
        found = read(text);
      } catch (error) {
        assert.ok(error instanceof JwccError);
        return;
      }
      assert.deepEqual(found, parseByOracle(text));
    }),
  );
});
