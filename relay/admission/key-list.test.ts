import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseKeyList } from "./key-list.ts";

const one = "01".repeat(32);
const two = "ab".repeat(32);
const anyKey = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));

test("a line is a key with or without its prefix, in either case, or blank, or a comment", () => {
  const text = `# The team\n\nnodekey:${one}\n  ${two.toUpperCase()}\t# bob's laptop\r\n${one}\n`;
  assert.deepEqual(parseKeyList(text), { keys: new Set([one, two]) });
});

test("a list without a key is an accident unless it says that nobody is meant", () => {
  for (const text of ["", "\n", "# The team\n", "# nobody knows\n", `# ${one}\n`]) {
    assert.ok("trouble" in parseKeyList(text), JSON.stringify(text));
  }
  for (const text of ["# nobody\n", "#nobody\r\n", "# Off duty.\n\n  # nobody \n"]) {
    assert.deepEqual(parseKeyList(text), { keys: new Set() }, JSON.stringify(text));
  }
});

test("one line that is no key spoils the list, and its number is said but not its content", () => {
  for (const line of [one.slice(1), `${one}0`, `privkey:${one}`, `nodekey: ${one}`, `${one} ${two}`, "\0"]) {
    assert.deepEqual(parseKeyList(`${two}\n${line}\n`), { trouble: "line 2 is no key" }, line);
  }
});

test("a list of which a part is missing inside a line says nothing", () => {
  fc.assert(
    fc.property(fc.array(anyKey, { minLength: 1, maxLength: 5 }), fc.nat(), (keys, at) => {
      const text = keys.map((key) => `nodekey:${key}\n`).join("");
      const part = text.slice(0, at % text.length);
      const list = parseKeyList(part);
      if (part === "" || !part.endsWith("\n")) assert.ok("trouble" in list);
      else assert.deepEqual(list, { keys: new Set(keys.slice(0, part.split("\n").length - 1)) });
    }),
  );
});

test("any text is a list or trouble, never an exception", () => {
  const piece = fc.oneof(fc.constantFrom("#", "\n", "nobody", "nodekey:", one), fc.string());
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const list = parseKeyList(pieces.join(""));
      assert.ok("trouble" in list || [...list.keys].every((key) => /^[0-9a-f]{64}$/.test(key)));
    }),
  );
});
