import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { KitError } from "../../relay/errors.ts";
import { removeRegion, writeState } from "./region-text.ts";

const stack = `# A fleet.
config:
  derpkit:domain: derp.example.com # ours
  derpkit:regions:
    # The first one.
    - id: 901
      code: alfa
      name: "Alfa" # rack 1
      cloud: local
      nodes: [{}, {}] # two
    # The second one.
    - {id: 902, code: bravo, name: Bravo, cloud: local, state: canary} # ${"a long remark, ".repeat(10)}

    # The third one.
    - id: 903
      state: serving # since May
      code: charlie
  derpkit:readerThree:
    secure: v1:abc
  # Of the second.
  derpkit:readerTwo:
    secure: v1:def
encryptionsalt: v1:def # not ours
`;

test("a state is changed where it stands, and nothing else changes", () => {
  assert.equal(writeState(stack, 2, "draining"), stack.replace("serving # since", "draining # since"));
  assert.equal(writeState(stack, 1, "draining"), stack.replace("state: canary", "state: draining"));
});

test("a state that was not written is put below what names the region", () => {
  assert.equal(
    writeState(stack, 0, "draining"),
    stack.replace("cloud: local\n", "cloud: local\n      state: draining\n"),
  );
});

test("a region goes with its own remarks, and with the secrets that were its", () => {
  const text = removeRegion(stack, 1, ["readerTwo"]);
  for (const remark of [
    "# A fleet.",
    "# ours",
    "# The first",
    "# rack 1",
    "# two",
    "# The third",
    "# since",
    "# not ours",
  ])
    assert.ok(text.includes(remark), remark);
  assert.doesNotMatch(text, /second|bravo|long remark|readerTwo|v1:def\n/);
  assert.match(text, /derpkit:readerThree:\n {4}secure: v1:abc\n/);
});

test("the first and the last one go as well, and leave the others byte for byte", () => {
  const [first, last] = [/ {4}# The first[^]*# two\n/, / {4}# The third[^]*code: charlie\n/];
  assert.equal(removeRegion(stack, 0, []), stack.replace(first, ""));
  assert.equal(removeRegion(stack, 2, []), stack.replace(last, ""));
});

test("what is on one line stays on one line", () => {
  const text = "config:\n  regions: [ {id: 901,code: alfa}, {id: 902}, {id: 903} ] # all\n";
  assert.equal(writeState(text, 0, "draining"), text.replace("alfa", "alfa, state: draining"));
  assert.equal(removeRegion(text, 1, []), text.replace("{id: 902}, ", ""));
  assert.equal(removeRegion(text, 2, []), text.replace(", {id: 903}", ""));
});

test("remarks within a region go with it, also below its last key, and line ends stay as they are", () => {
  const text =
    "config:\n  regions:\n    - id: 901\n      # inner\n      nodes:\n        - {}\n      # mesh: later\n    # next\n    - id: 902";
  assert.equal(removeRegion(text, 0, []), "config:\n  regions:\n    # next\n    - id: 902");
  assert.equal(removeRegion(text, 1, []), text.replace("    # next\n    - id: 902", ""));
  assert.equal(writeState(text, 1, "draining"), `${text}\n      state: draining\n`);
  const dos = text.replaceAll("\n", "\r\n");
  assert.equal(writeState(dos, 0, "draining"), dos.replace("901\r\n", "901\r\n      state: draining\r\n"));
});

test("whatever a region holds, its state is written and it is taken out, and all else is as it was", () => {
  const scalar = fc.constantFrom(
    "x",
    '"y: z"',
    "|\n        long\n        text",
    "[1, 2]",
    "{ a: [b] }",
    "~",
    "7 # seven",
  );
  const regions = fc.array(fc.array(scalar, { maxLength: 3 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(regions, fc.nat(), (all, at) => {
      const blocks = all.map((values, id) => {
        const keys = values.map((value, key) => `      k${key}: ${value}\n`).join("");
        return `    # about ${id}\n    - id: ${id}\n${keys}`;
      });
      const render = (items: readonly string[]): string =>
        `config:\n  regions:\n${items.join("")}  after: 1\n`;
      const index = at % all.length;
      const text = render(blocks);
      assert.equal(removeRegion(text, index, []), render(blocks.toSpliced(index, 1)));
      const changed = writeState(text, index, "draining");
      const { config } = parse(changed);
      assert.deepEqual(
        config.regions.map(({ state }: { state?: string }) => state),
        all.map((_, id) => (id === index ? "draining" : undefined)),
      );
      assert.equal(changed.replace("      state: draining\n", ""), text);
      assert.equal(writeState(changed, index, "retired"), changed.replace("draining", "retired"));
    }),
  );
});

test("a region that is written elsewhere is left to a person", () => {
  const text = "one: &one {id: 901}\nconfig:\n  derpkit:regions: [*one]\n";
  for (const change of [() => writeState(text, 0, "draining"), () => removeRegion(text, 0, [])]) {
    assert.throws(change, (error) => error instanceof KitError && error.code === "config-invalid");
  }
});
