import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { openSealedSecrets } from "../../relay/agent/sealed-secrets.ts";
import { generatePrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { KitError } from "../../relay/errors.ts";
import { decodeSecretsDocument } from "../../relay/updater/secrets-document.ts";
import { contentDigest, sealSecrets, type SecretsContent } from "./sealed-secrets.ts";

const canary = "canary-2f6c1d9e8a";
const signing = generateKeyPairSync("ed25519");
const relay = generatePrivateKey();
const content: SecretsContent = {
  stack: "prod",
  region: "fsn",
  node: "901a",
  to: publicKeyOf(relay).toString("hex"),
  secrets: new Map([
    ["mesh-key", canary],
    ["tailnet-api", `${canary} ü`],
  ]),
  sequence: 1,
};

const seal = (change: Partial<SecretsContent> = {}, key = signing.privateKey) =>
  sealSecrets({ ...content, ...change }, key);
const keysOf = (change: Partial<SecretsContent>, key = signing.privateKey): string[] =>
  Object.values(decodeSecretsDocument(seal(change, key).document).boxes).map((box) => box.key);

test("what is sealed to a relay's key its owner opens, and the document shows nothing of it", () => {
  const sealed = seal();
  const recipient = { ...content, privateKey: relay, trustedKeys: [signing.publicKey] };
  assert.deepEqual(openSealedSecrets(sealed, recipient), { sequence: 1, secrets: content.secrets });
  for (const form of [canary, Buffer.from(canary).toString("base64").slice(0, -3)])
    assert.ok(!sealed.document.includes(form) && !sealed.signature.includes(form));
});

test("the same content gives the same bytes, whichever way its keys are written and its secrets are listed", () => {
  const secrets = new Map([...content.secrets].toReversed());
  assert.deepEqual(seal({ secrets, to: content.to.toUpperCase() }), seal());
});

test("no two boxes have a key in common: not of other values, names, nodes, recipients or signers", () => {
  const one = (value: string): ReadonlyMap<string, string> => new Map([["mesh-key", value]]);
  const keys = [
    ...keysOf({}),
    ...keysOf({ secrets: one("another") }),
    ...keysOf({ secrets: new Map([["other", canary]]) }),
    ...keysOf({ secrets: one(canary), node: "901b" }),
    ...keysOf({ secrets: one(canary), region: "hel" }),
    ...keysOf({ secrets: one(canary), stack: "dev" }),
    ...keysOf({ secrets: one(canary), to: publicKeyOf(generatePrivateKey()).toString("hex") }),
    ...keysOf({ secrets: one(canary) }, generateKeyPairSync("ed25519").privateKey),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test("a digest tells whether anything but the sequence changed", () => {
  const digest = contentDigest(seal().document);
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.equal(contentDigest(seal({ sequence: 7 }).document), digest);
  for (const change of [{ secrets: new Map([["mesh-key", "x"]]) }, { node: "901b" }, { secrets: new Map() }])
    assert.notEqual(contentDigest(seal(change).document), digest);
});

test("what is no relay's key, and what is no signing key, is refused", () => {
  const isError = (code: string) => (error: unknown) =>
    error instanceof KitError && error.code === code && !error.message.includes(canary);
  for (const to of ["", "0".repeat(64), `nodekey:${content.to}`, content.to.slice(1)])
    assert.throws(() => seal({ to }), isError("secrets-foreign"), to);
  assert.throws(() => seal({}, signing.publicKey), isError("signing-key-invalid"));
  const other = generateKeyPairSync("x25519").privateKey;
  assert.throws(() => seal({}, other), isError("signing-key-invalid"));
});
