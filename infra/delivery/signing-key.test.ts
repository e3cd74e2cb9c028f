import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { KitError, renderError } from "../../relay/errors.ts";
import { encodePublicKey } from "../../relay/updater/public-key.ts";
import { makeSigningKey, parseSigningKey, renderSigningKey, requireTrusted } from "./signing-key.ts";

const key = makeSigningKey();
const text = renderSigningKey(key);
const pem = key.export({ type: "pkcs8", format: "pem" }).toString();

test("a key is one line of base64, and reads back; PEM is read as well, and a final newline does not matter", () => {
  assert.match(text, /^[A-Za-z0-9+/]{64}$/);
  for (const written of [text, `${text}\n`, pem]) assert.ok(parseSigningKey(written).equals(key));
});

for (const [what, written] of [
  ["nothing", ""],
  ["cut short", text.slice(0, -4)],
  ["followed by more", `${text}AAAA`],
  ["in two lines", `${text.slice(0, 32)}\n${text.slice(32)}`],
  ["a damaged PEM", pem.replace("MC4C", "MC4D")],
  ["a public key", encodePublicKey(key)],
  [
    "of another kind",
    generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
  ],
] as const) {
  test(`a signing key that is ${what} is refused by the name of its place, and not shown`, () => {
    assert.throws(
      () => parseSigningKey(written, "derpkit:signingKey"),
      (error) => {
        assert.ok(error instanceof KitError && error.code === "signing-key-invalid");
        assert.equal(error.where, "derpkit:signingKey");
        assert.equal(error.cause, undefined);
        assert.doesNotMatch(renderError(error), /MC4C|MCow/);
        return true;
      },
    );
  });
}

test("a key is trusted if its public half is one of those that are", () => {
  const other = encodePublicKey(makeSigningKey());
  requireTrusted(key, [other, encodePublicKey(key)]);
  assert.throws(() => requireTrusted(key, [other]), { name: "KitError", code: "signing-key-untrusted" });
  assert.throws(() => requireTrusted(key, []), { name: "KitError", code: "signing-key-untrusted" });
});
