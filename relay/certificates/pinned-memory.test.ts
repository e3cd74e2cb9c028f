import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearlyJson } from "../testing/nearly-json.ts";
import { parsePinnedMemory, type PinnedMemory, renderPinnedMemory, rotate } from "./pinned-memory.ts";

const at = (hours: number): Date => new Date(Date.UTC(2026, 0, 1) + hours * 3_600_000);
const nothing: PinnedMemory = { served: undefined, retired: [] };

/** What is remembered after starts with these names at these hours. */
function after(...starts: readonly (readonly [hour: number, hostname: string])[]): PinnedMemory {
  return starts.reduce((memory, [hour, hostname]) => rotate(memory, hostname, at(hour)), nothing);
}

test("the first name retires nobody, and nor does the same name again", () => {
  assert.deepEqual(after([0, "a.example"]), { served: "a.example", retired: [] });
  assert.deepEqual(after([0, "a.example"], [5, "a.example"]), { served: "a.example", retired: [] });
});

test("a name that is replaced is served for 24 h after the change, however often the relay starts", () => {
  const retired = [{ hostname: "a.example", until: at(34) }];
  const starts = [
    [0, "a.example"],
    [10, "b.example"],
    [20, "b.example"],
    [33.9, "b.example"],
  ] as const;
  assert.deepEqual(after(...starts), { served: "b.example", retired });
  assert.deepEqual(after(...starts, [34, "b.example"]).retired, []);
});

test("names may be rotated back and forth", () => {
  const back = after([0, "a.example"], [1, "b.example"], [2, "a.example"]);
  assert.deepEqual(back, { served: "a.example", retired: [{ hostname: "b.example", until: at(26) }] });
  const forth = rotate(back, "b.example", at(3));
  assert.deepEqual(forth.retired, [{ hostname: "a.example", until: at(27) }]);
  const third = rotate(forth, "c.example", at(4));
  assert.deepEqual(third.retired.map(({ hostname }) => hostname).sort(), ["a.example", "b.example"]);
});

test("an IP address never retires; a name that gives way to one does", () => {
  assert.deepEqual(after([0, "192.0.2.1"], [1, "a.example"]).retired, []);
  assert.deepEqual(after([0, "2001:db8::1"], [1, "192.0.2.1"]).retired, []);
  assert.deepEqual(after([0, "a.example"], [1, "192.0.2.1"]).retired, [
    { hostname: "a.example", until: at(25) },
  ]);
});

test("a clock that was ahead has no name served for longer than 24 h from now", () => {
  const memory = { served: "b.example", retired: [{ hostname: "a.example", until: at(90_000) }] };
  assert.deepEqual(rotate(memory, "b.example", at(0)).retired, [{ hostname: "a.example", until: at(24) }]);
});

test("what is rendered is parsed again", () => {
  const memory = after([0, "a.example"], [1, "b.example"]);
  assert.deepEqual(parsePinnedMemory(renderPinnedMemory(memory)), memory);
});

test("what nobody has rendered is no memory", () => {
  const texts = [
    "",
    "null",
    "[]",
    '"a.example"',
    "{}",
    '{"served":"a.example"}',
    '{"served":1,"retired":[]}',
    '{"served":"a.example","retired":{}}',
    '{"served":"a.example","retired":[null]}',
    '{"served":"a.example","retired":[{"hostname":"b.example"}]}',
    '{"served":"a.example","retired":[{"hostname":"b.example","until":"soon"}]}',
    '{"served":"a.example","retired":[{"hostname":1,"until":"2026-01-01T00:00:00Z"}]}',
    renderPinnedMemory(after([0, "a.example"])).slice(0, -3),
  ];
  for (const text of texts) assert.equal(parsePinnedMemory(text), undefined, text);
  const document = renderPinnedMemory(after([0, "a.example"], [1, "b.example"]));
  fc.assert(
    fc.property(nearlyJson(fc.constant(document), 3), (bytes) => {
      const memory = parsePinnedMemory(bytes.toString());
      if (memory !== undefined) assert.deepEqual(parsePinnedMemory(renderPinnedMemory(memory)), memory);
    }),
  );
});
