import assert from "node:assert/strict";
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import test from "node:test";
import { KitError } from "../errors.ts";
import { challengeServername, createChallengeCertificate, keyAuthorization } from "./challenge.ts";
import { identify } from "./identifier.ts";

const now = new Date("2026-06-01T12:00:00Z");
const make = (name: string, more = {}) =>
  createChallengeCertificate({
    identifier: identify(name),
    keyAuthorization: "token.thumbprint",
    now,
    ...more,
  });
const parse = (name: string) => new X509Certificate(make(name).chain);

test("a key authorization is the token and the account's thumbprint", () => {
  assert.equal(keyAuthorization("token", "thumbprint"), "token.thumbprint");
});

test("the CA asks by the name, or by an address's reverse name", () => {
  const servername = (name: string) => challengeServername(identify(name));
  assert.equal(servername("A.Example.NET"), "a.example.net");
  assert.equal(servername("192.0.2.1"), "1.2.0.192.in-addr.arpa");
  assert.equal(
    servername("2001:db8::567:89ab"), // RFC 3596, 2.5, has the like.
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
});

test("a challenge certificate is for the identifier alone and signed by itself", () => {
  assert.equal(parse("a.example.net").subjectAltName, "DNS:a.example.net");
  assert.equal(parse("192.0.2.1").subjectAltName, "IP Address:192.0.2.1");
  assert.equal(parse("2001:db8::1").subjectAltName, "IP Address:2001:DB8:0:0:0:0:0:1");
  const certificate = parse("a.example.net");
  assert.ok(certificate.verify(certificate.publicKey));
  assert.ok(certificate.validFromDate < now && now < certificate.validToDate);
});

test("it holds the key authorization's digest in a critical acmeIdentifier", () => {
  const digest = createHash("sha256").update("token.thumbprint").digest("hex");
  // SEQUENCE { OID 1.3.6.1.5.5.7.1.31, TRUE, OCTET STRING { OCTET STRING digest } } (RFC 8737, section 3).
  const extension = Buffer.from(`303106082b0601050507011f0101ff04220420${digest}`, "hex");
  assert.ok(parse("a.example.net").raw.includes(extension));
});

test("its key is a new one each time, or the one given", () => {
  const [one, other] = [make("a.example"), make("a.example")];
  assert.notEqual(one.key, other.key);
  assert.ok(new X509Certificate(one.chain).checkPrivateKey(createPrivateKey(one.key)));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const given = new X509Certificate(make("a.example", { privateKey, serial: Buffer.of(0x7f) }).chain);
  assert.equal(given.serialNumber, "7F");
  assert.ok(given.checkPrivateKey(privateKey));
});

test("a name that a certificate cannot hold is refused", () => {
  assert.throws(() => make("münchen.example"), KitError);
});
