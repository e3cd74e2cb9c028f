import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { listComments, listTokens, parseByOracle } from "../testing/oracle.ts";
import { anyJson, anyValue, document, member, objectOf } from "../testing/texts.ts";
import { applyEdits, editContainer, editValue } from "./edit.ts";
import { parseJwcc } from "./parse.ts";
import { patchValue } from "./patch.ts";
import { readStyle } from "./style.ts";
import type { Json, JwccContainer } from "./tree.ts";

const fewNames = ["a", "b", "c", "d", "e"];
const someObject = fc
  .uniqueArray(fc.constantFrom(...fewNames), { maxLength: 5 })
  .chain((names) => document(objectOf(names.map((name) => member(name, anyValue)))));

/** Removes members and inserts others behind given ones, by way of the editor. */
function change(
  text: string,
  removed: readonly string[],
  inserted: readonly [string, Json, number][],
): string {
  const doc = parseJwcc(text);
  const root = doc.root as JwccContainer;
  const indices = root.items.flatMap(({ name }, index) => (removed.includes(name) ? [index] : []));
  const edits = editContainer(doc, readStyle(doc), root, {
    removed: new Set(indices),
    inserted: inserted.map(([name, json, after]) => ({
      name,
      json,
      after: (after % (root.items.length + 1)) - 1,
    })),
  });
  return applyEdits(text, edits);
}

function set(text: string, name: string, json: Json): string {
  const doc = parseJwcc(text);
  const members = [{ name, isName: (each: string) => each === name, patch: { kind: "set", json } as const }];
  return applyEdits(text, patchValue(doc, readStyle(doc), doc.root, { kind: "members", members }));
}

/** A text without what is inside a member of its outermost object. */
function around(text: string, names: readonly string[]): string {
  const root = parseJwcc(text).root as JwccContainer;
  const inner = root.items.filter(({ name }) => names.includes(name));
  return applyEdits(
    text,
    inner.map(({ start, end }) => ({ start, end, text: "" })),
  );
}

test("whatever is removed and inserted, the rest says what it said, and no token of it is lost or moved", () => {
  fc.assert(
    fc.property(
      someObject,
      fc.subarray(fewNames),
      fc.array(fc.tuple(fc.constantFrom("n1", "n2", "n3"), anyJson, fc.nat({ max: 10 })), { maxLength: 3 }),
      (text, removed, more) => {
        const inserted = more.filter(([name], index) => more.findIndex(([each]) => each === name) === index);
        const written = change(text, removed, inserted);
        const wanted = { ...(parseByOracle(text) as Record<string, Json>) };
        for (const name of removed) delete wanted[name];
        for (const [name, json] of inserted) wanted[name] = json;
        assert.deepEqual(parseByOracle(written), JSON.parse(JSON.stringify(wanted)));
        const ours = [...removed, ...inserted.map(([name]) => name)];
        assert.deepEqual(listTokens(around(written, ours)), listTokens(around(text, removed)));
      },
    ),
    { numRuns: 500 },
  );
});

test("one edit leaves every byte that is not next to it as it was", () => {
  fc.assert(
    fc.property(someObject, fc.constantFrom("a", "n1"), fc.option(anyJson), (text, name, json) => {
      const written = json === null ? change(text, [name], []) : set(text, name, json);
      const { items, ...root } = parseJwcc(text).root as JwccContainer;
      const index = items.findIndex((each) => each.name === name);
      const isReplaced = index !== -1 && json !== null;
      // What is new comes behind the last item; from there to what comes next there are white space, comments and commas.
      const [left, right] = index === -1 ? [items.at(-1), undefined] : [items[index - 1], items[index + 1]];
      const head = isReplaced ? (items[index]?.value.start ?? 0) : (left?.end ?? root.start + 1);
      const tail = isReplaced ? (items[index]?.end ?? 0) : (right?.start ?? root.end - 1);
      assert.ok(written.startsWith(text.slice(0, head)) && written.endsWith(text.slice(tail)));
      assert.deepEqual(listComments(around(written, [name])), listComments(around(text, [name])));
    }),
    { numRuns: 500 },
  );
});

test("a list becomes any other list", () => {
  fc.assert(
    fc.property(document(anyValue), anyJson, (text, wanted) => {
      const doc = parseJwcc(text);
      const written = applyEdits(text, editValue(doc, readStyle(doc), doc.root, wanted));
      assert.deepEqual(parseByOracle(written), JSON.parse(JSON.stringify(wanted)));
    }),
    { numRuns: 500 },
  );
});

test("what is there already changes nothing, and a change twice is a change once", () => {
  fc.assert(
    fc.property(someObject, fc.constantFrom("a", "n1"), anyJson, (text, name, json) => {
      const once = set(text, name, json);
      assert.equal(set(once, name, json), once);
    }),
  );
});

const region = { RegionID: 901, Nodes: [{ Name: "901a" }] };

for (const [what, before, json, after] of [
  [
    "an object of lines gets another line, and no comma behind the last",
    '{\n\t"a": 1 // one\n}\n',
    region,
    '{\n\t"a": 1, // one\n\t"n": {\n\t\t"RegionID": 901,\n\t\t"Nodes": [\n\t\t\t{\n\t\t\t\t"Name": "901a"\n\t\t\t}\n\t\t]\n\t}\n}\n',
  ],
  [
    "a comma behind the last stays the habit",
    '{\r\n    "a": 1, // one\r\n}',
    2,
    '{\r\n    "a": 1, // one\r\n    "n": 2,\r\n}',
  ],
  [
    "one line stays one line",
    '{"a": 1}',
    region,
    '{"a": 1, "n": {"RegionID": 901, "Nodes": [{"Name": "901a"}]}}',
  ],
  ["and a dense one dense", '{"a":1}\n', [1, 2], '{"a":1,"n":[1,2]}\n'],
  ["an empty object is opened", "{}\n", 1, '{\n  "n": 1\n}\n'],
  ["one with a comment as well", "{\n\t// none yet\n}", 1, '{\n\t// none yet\n  "n": 1\n}'],
  ["a bracket at the end of the last line stays there", '{"a": [\n  1\n]}', 2, '{"a": [\n  1\n],\n  "n": 2}'],
] as const) {
  test(`style: ${what}`, () => {
    assert.equal(set(before, "n", json as Json), after);
  });
}

for (const [what, before, after] of [
  [
    "a line goes with its end",
    '{\n  "a": 1,\n  "n": {\n    "x": 1\n  },\n  "b": 2\n}',
    '{\n  "a": 1,\n  "b": 2\n}',
  ],
  [
    "the last one's left neighbour loses its comma",
    '{\n  "a": 1, // one\n  "n": 2\n}',
    '{\n  "a": 1 // one\n}',
  ],
  ["not if there was a comma behind the last", '{\n  "a": 1,\n  "n": 2,\n}', '{\n  "a": 1,\n}'],
  [
    "comments above and beside stay",
    '{\n  // two\n  "n": 2, // 2\n  "a": 1\n}',
    '{\n  // two\n  // 2\n  "a": 1\n}',
  ],
  ["on one line", '{"a": 1, "n": 2, "b": 3}', '{"a": 1, "b": 3}'],
  ["the first on one line", '{"n": 2, "b": 3}', '{"b": 3}'],
  ["the only one", '{ "n": 2 }', "{ }"],
  ["the comma on the next line", '{\n  "n": 2 // n\n  , "b": 3\n}', '{\n  // n\n   "b": 3\n}'],
] as const) {
  test(`removal: ${what}`, () => {
    assert.equal(change(before, ["n"], []), after);
  });
}

test("a region of which a node changes keeps the comments in it", () => {
  const before =
    '{\n  "n": { // ours\n    "Nodes": [\n      {"Name": "a", "X": 1}, // first\n      {"Name": "b"} // second\n    ]\n  }\n}';
  const wanted = { Nodes: [{ Name: "a", X: 2 }, { Name: "b" }, { Name: "c" }] };
  const after =
    '{\n  "n": { // ours\n    "Nodes": [\n      {"Name": "a", "X": 2}, // first\n      {"Name": "b"}, // second\n      {\n        "Name": "c"\n      }\n    ]\n  }\n}';
  assert.equal(set(before, "n", wanted), after);
});
