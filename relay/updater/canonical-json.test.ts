import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderCanonicalJson } from "./canonical-json.ts";

test("members are sorted at every level and indented, with a newline at the end", () => {
  const value = { b: [1, { d: null, c: "x" }], a: {}, e: [] };
  assert.equal(
    renderCanonicalJson(value),
    `{
  "a": {},
  "b": [
    1,
    {
      "c": "x",
      "d": null
    }
  ],
  "e": []
}
`,
  );
});

test("names that look like numbers are sorted like all others", () => {
  assert.equal(renderCanonicalJson({ 9: 1, 10: 2, "1a": 3 }), '{\n  "10": 2,\n  "1a": 3,\n  "9": 1\n}\n');
});

test("any JSON value reads back as itself, and its text is that of JSON.stringify but for the order", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      // JSON has no negative zero.
      const plain: unknown = JSON.parse(JSON.stringify(value));
      const text = renderCanonicalJson(plain);
      const read: unknown = JSON.parse(text);
      assert.deepEqual(read, plain);
      assert.equal(text.length, JSON.stringify(plain, null, 2).length + 1);
      assert.equal(renderCanonicalJson(read), text);
    }),
  );
});
