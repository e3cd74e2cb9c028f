import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { decodePublicKey, encodePublicKey, isPublicKey, renderPublicPem } from "./public-key.ts";
import { parseTrustedKeys } from "./signature.ts";

test("whatever a key is, its text is one that is known as such, reads back, and is PEM between two lines", () => {
  const header = Buffer.from("302e020100300506032b657004220420", "hex");
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      const key = createPrivateKey({ key: Buffer.concat([header, seed]), format: "der", type: "pkcs8" });
      const text = encodePublicKey(key);
      assert.ok(isPublicKey(text));
      assert.equal(encodePublicKey(decodePublicKey(text)), text);
      assert.ok(parseTrustedKeys([renderPublicPem(text)])[0]?.equals(decodePublicKey(text)));
    }),
  );
});

test("a key of another kind, a private one and a text with more to it are not taken for public keys", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const text = encodePublicKey(privateKey);
  const spki = (key: ReturnType<typeof generateKeyPairSync>["publicKey"]): string =>
    key.export({ type: "spki", format: "der" }).toString("base64");
  for (const other of [
    spki(generateKeyPairSync("x25519").publicKey),
    privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
    `${text}\n`,
    ` ${text}`,
    text.slice(0, -1),
    "",
  ]) {
    assert.equal(isPublicKey(other), false, other);
  }
});
