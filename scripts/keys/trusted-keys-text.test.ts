import assert from "node:assert/strict";
import { test } from "node:test";
import { writeTrustedKeys } from "./trusted-keys-text.ts";

const [a, b] = ["A", "B"].map((letter) => `MCowBQYDK2VwAyEA${letter.repeat(42)}A=`) as [string, string];

const stack = `# yaml-language-server: $schema=docs/stack.schema.json
# A fleet.
config:
  # About the domain.
  derpkit:domain: derp.example.com # ours
  derpkit:trustedKeys:
    # Kept by npm run keys.
    - ${a} # the first
  derpkit:regions:
    - {id: 901, code: fsn, name: "Falkenstein", cloud: hetzner} # ${"a long remark, ".repeat(10)}

    # The last one.
    - id: 902
      nodes: [{}, {}]
  derpkit:signingKey:
    secure: v1:abc
encryptionsalt: v1:def # not ours
`;

test("a key is added below the others, and nothing else changes", () => {
  const expected = stack.replace("# the first\n", `# the first\n    - ${b}\n`);
  const written = writeTrustedKeys(stack, [a, b]);
  assert.equal(written, expected);
  assert.equal(writeTrustedKeys(written, [a, b]), written);
});

test("a key that goes takes its own remark with it, and no other", () => {
  const written = writeTrustedKeys(writeTrustedKeys(stack, [a, b]), [b]);
  for (const remark of ["# A fleet.", "# ours", "# Kept by", "a long remark", "# The last", "# not ours"])
    assert.ok(written.includes(remark), remark);
  assert.doesNotMatch(written, /# the first/);
  assert.ok(written.includes(`    - ${b}\n`) && !written.includes(a));
});

test("a file without the key, without configuration or with nothing in it gets it", () => {
  const list = `  derpkit:trustedKeys:\n    - ${a}\n`;
  assert.equal(
    writeTrustedKeys("config:\n  derpkit:domain: x.example # ours\n", [a]),
    `config:\n  derpkit:domain: x.example # ours\n${list}`,
  );
  assert.equal(writeTrustedKeys("encryptionsalt: v1:def\n", [a]), `encryptionsalt: v1:def\nconfig:\n${list}`);
  assert.equal(writeTrustedKeys("config:\n", [a]), `config:\n${list}`);
  assert.equal(writeTrustedKeys("", [a]), `config:\n${list}`);
});

test("a list in the place of which something else stands is replaced, and a key without namespace is the same one", () => {
  assert.equal(
    writeTrustedKeys("config:\n  derpkit:trustedKeys: none\n", [a]),
    `config:\n  derpkit:trustedKeys:\n    - ${a}\n`,
  );
  assert.equal(
    writeTrustedKeys(`config:\n  trustedKeys: [${a}]\n`, [a, b]),
    `config:\n  trustedKeys: [${a}, ${b}]\n`,
  );
});
