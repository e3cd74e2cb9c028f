import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import test from "node:test";
import { bindExternalAccount, type FlattenedJws, publicJwk, signJws, thumbprint } from "./jws.ts";

/** RFC 7515, appendix A.3. */
const rfcKey = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
};
const privateKey = createPrivateKey({ key: rfcKey, format: "jwk" });
const publicKey = createPublicKey(privateKey);

function isGood({ protected: header, payload, signature }: FlattenedJws): boolean {
  const input = Buffer.from(`${header}.${payload}`);
  const how = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
  return verify("sha256", input, how, Buffer.from(signature, "base64url"));
}

const decode = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString());

test("the signature of RFC 7515's example is one of the kind that is made here", () => {
  const example = {
    protected: "eyJhbGciOiJFUzI1NiJ9",
    payload: "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
  };
  assert.ok(isGood(example));
  assert.ok(!isGood({ ...example, payload: example.payload.replace("e", "f") }));
});

test("a key's thumbprint is that of RFC 9449's example, whatever else is in the key", () => {
  const key = {
    use: "sig",
    kty: "EC",
    y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    crv: "P-256",
  };
  const expected = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
  assert.equal(thumbprint(key), expected);
  assert.equal(thumbprint(publicJwk(createPublicKey({ key, format: "jwk" }))), expected);
});

test("a request is signed over its nonce, its URL and who signs, as r and s side by side", () => {
  const shared = { nonce: "abc", url: "https://ca.example/order" };
  const jws = signJws(privateKey, { by: { kid: "https://ca.example/account/1" }, ...shared }, { a: "ü" });
  assert.deepEqual(decode(jws.protected), {
    alg: "ES256",
    kid: "https://ca.example/account/1",
    ...shared,
  });
  assert.deepEqual(decode(jws.payload), { a: "ü" });
  assert.equal(Buffer.from(jws.signature, "base64url").length, 64);
  assert.ok(isGood(jws));
  const jwk = publicJwk(privateKey);
  const first = signJws(privateKey, { by: { jwk }, ...shared }, {});
  assert.deepEqual(decode(first.protected), { alg: "ES256", jwk, ...shared });
  assert.equal(first.payload, "e30");
  assert.ok(isGood(first));
});

test("a request that only reads has an empty payload", () => {
  const jws = signJws(privateKey, { by: { kid: "k" }, nonce: "n", url: "u" });
  assert.equal(jws.payload, "");
  assert.ok(isGood(jws));
});

test("the private half is in no JWK", () => {
  const { d: _, ...half } = rfcKey;
  assert.deepEqual(publicJwk(privateKey), half);
  assert.deepEqual(publicJwk(publicKey), half);
});

test("a key that is not EC P-256 is refused", () => {
  for (const key of [
    generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
    generateKeyPairSync("ed25519").privateKey,
    generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey,
  ]) {
    assert.throws(() => publicJwk(key), TypeError);
  }
});

test("a binding is signed with the external account's key alone", () => {
  const jwk = publicJwk(privateKey);
  const url = "https://ca.example/account";
  const bind = (key: string) => bindExternalAccount({ kid: "kid-1", key: Buffer.from(key) }, jwk, url);
  const { protected: header, payload, signature } = bind("one");
  assert.deepEqual(decode(header), { alg: "HS256", kid: "kid-1", url });
  assert.deepEqual(decode(payload), jwk);
  assert.equal(Buffer.from(signature, "base64url").length, 32);
  assert.equal(bind("one").signature, signature);
  assert.notEqual(bind("other").signature, signature);
});
