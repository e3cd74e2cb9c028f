import assert from "node:assert/strict";
import { test } from "node:test";
import { readEngineLog } from "./engine-events.ts";

const unknown = "(known after up)";
const reading = { unknown, readable: (properties: object) => ({ ...properties }) };
const urn = (type: string, name: string): string => `urn:pulumi:prod::relays::derp:X$${type}::${name}`;

interface Given {
  readonly old?: object;
  readonly next?: object;
  readonly paths?: readonly string[];
}

function step(op: string, type: string, name: string, { old, next, paths }: Given = {}): object {
  const metadata = {
    op,
    type,
    urn: urn(type, name),
    old: old === undefined ? null : { inputs: old },
    new: next === undefined ? null : { inputs: next },
    detailedDiff:
      paths === undefined ? null : Object.fromEntries(paths.map((path) => [path, { diffKind: "update" }])),
  };
  return { sequence: 1, resourcePreEvent: { metadata } };
}

const read = (...events: readonly object[]) =>
  readEngineLog(events.map((event) => JSON.stringify(event)).join("\n"), reading);

test("what is made, changed and removed is listed in its order, and what stays is not", () => {
  const { changes, types } = read(
    step("same", "a:S", "stays"),
    step("refresh", "a:S", "looked-at"),
    step("create", "a:S", "new", { next: {} }),
    step("update", "b:R", "changed", { old: { l: 1, r: 1 }, next: { l: 2, r: 1 }, paths: ["l.x", "l[0]"] }),
    step("delete", "c:G", "gone", { old: {} }),
  );
  assert.deepEqual(
    changes.map(({ op, name, properties, certain }) => [op, name, properties, certain]),
    [
      ["create", "new", [], true],
      ["update", "changed", ["l"], true],
      ["delete", "gone", [], true],
    ],
  );
  assert.deepEqual(types, ["a:S", "b:R"]);
});

test("a replacement, which is several steps, is one change", () => {
  const given = { old: { size: 1 }, next: { size: 2 }, paths: ["size"] };
  const { changes } = read(
    step("create-replacement", "a:S", "one", given),
    step("replace", "a:S", "one", given),
    step("delete-replaced", "a:S", "one"),
  );
  assert.deepEqual(changes, [
    { op: "replace", type: "a:S", name: "one", properties: ["size"], certain: true },
  ]);
});

for (const [what, given, certain] of [
  ["is not known", { old: { c: "x" }, next: { c: unknown }, paths: ["c"] }, false],
  ["is not known in a part", { old: { c: [1, "x"] }, next: { c: [1, unknown] }, paths: ["c[1]"] }, false],
  [
    "is not known in one part and another in the next",
    { old: { c: [1, "x"] }, next: { c: [2, unknown] }, paths: ["c"] },
    true,
  ],
  [
    "is known beside what is not",
    { old: { c: "x", d: 1 }, next: { c: unknown, d: 2 }, paths: ["c", "d"] },
    true,
  ],
  [
    "differs from what the cloud has, not from what was asked for",
    { old: { c: 1 }, next: { c: 1 }, paths: ["c"] },
    true,
  ],
  ["is not named", { old: { c: 1 }, next: { c: 2 } }, true],
] as const) {
  test(`an update is ${certain ? "" : "not "}certain if what differs ${what}`, () => {
    assert.deepEqual(
      read(step("update", "a:S", "one", given)).changes.map((change) => change.certain),
      [certain],
    );
  });
}

test("the stack's outputs are those that the program gives, and errors and warnings come without colours", () => {
  const stack = (op: string, outputs: object): object => ({
    resOutputsEvent: {
      metadata: {
        op,
        type: "pulumi:pulumi:Stack",
        urn: urn("pulumi:pulumi:Stack", "s"),
        old: null,
        new: { outputs },
      },
    },
  });
  const say = (severity: string, message: string, ephemeral = false): object => ({
    diagnosticEvent: { severity, message, ephemeral },
  });
  const { outputs, remarks } = read(
    stack("refresh", { derpMap: "old" }),
    stack("update", { derpMap: unknown }),
    say("warning", "<{%fg 3%}>mind<{%reset%}> this\n"),
    say("info", "no matter"),
    say("error", "passing", true),
    say("error", "bad"),
  );
  assert.deepEqual(outputs, { derpMap: unknown });
  assert.deepEqual(remarks, [
    { severity: "warning", text: "mind this" },
    { severity: "error", text: "bad" },
  ]);
});

test("a log that was cut off is read as far as it goes", () => {
  const whole = JSON.stringify(step("create", "a:S", "new", { next: {} }));
  const { changes, outputs } = readEngineLog(`${whole}\n${whole.slice(0, 40)}`, reading);
  assert.deepEqual([changes.length, outputs], [1, undefined]);
});
