import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { buildCertificate, buildName } from "../crypto/certificate.ts";
import * as der from "../crypto/der.ts";
import { nodeKey } from "../crypto/keys.ts";
import { buildMetaCertificate, parseMetaCertificate } from "./meta-certificate.ts";

const digits = "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";
const relayKey = nodeKey(Buffer.from(digits, "hex"));
const signer = generateKeyPairSync("ed25519").privateKey;
const validity = { notBefore: new Date("2026-10-01T00:00:00Z"), notAfter: new Date("2026-11-30T00:00:00Z") };
const certificate = buildMetaCertificate({ relayKey, signer, ...validity });

const ascii = (text: string) => Buffer.from(text).toString("hex");

/** A certificate that is no meta certificate of ours, but could be somebody's. */
function foreign(fields: { name?: Buffer; serial?: Buffer }): Buffer {
  const { name = buildName(der.utf8String(`derpkey${digits}`)), serial = Buffer.of(2) } = fields;
  return buildCertificate({ ...validity, signer, extensions: [], name, serial });
}

test("34. the certificate has derper's shape: v3, serial 2, CN of prefix and key, Ed25519, one extension", () => {
  const parsed = new X509Certificate(certificate);
  assert.equal(certificate.length, 359);
  assert.equal(parsed.serialNumber, "02");
  assert.equal(parsed.subject, `CN=derpkey${digits}`);
  assert.equal(parsed.issuer, parsed.subject);
  assert.equal(parsed.publicKey.asymmetricKeyType, "ed25519");
  assert.equal(parsed.validFromDate.getTime(), validity.notBefore.getTime());
  assert.equal(parsed.validToDate.getTime(), validity.notAfter.getTime());
  assert.ok(parsed.verify(parsed.publicKey));
  assert.equal(parsed.ca, false);
});

test("34. what comes before its key and before its signature is the layout byte for byte", () => {
  const name = `30523150304e06035504031347${ascii(`derpkey${digits}`)}`;
  const times = `301e170d${ascii("261001000000Z")}170d${ascii("261130000000Z")}`;
  const beforeKey = `3082016330820115a003020102020102300506032b6570${name}${times}${name}302a300506032b6570032100`;
  const extensions = "a310300e300c0603551d130101ff04023000";
  const beforeSignature = `${extensions}300506032b6570034100`;
  assert.ok(certificate.toString("hex").startsWith(beforeKey));
  assert.ok(certificate.subarray(0, -64).toString("hex").endsWith(beforeSignature));
});

test("a client reads version and key", () => {
  assert.deepEqual(parseMetaCertificate(certificate), { version: 2, relayKey });
});

test("a client takes any serial number of 8 bits, either case of hex, and the last of several names", () => {
  const upper = buildName(der.utf8String(`derpkey${digits.toUpperCase()}`));
  const two = Buffer.concat([
    buildName(der.utf8String("other")).subarray(2),
    buildName(der.utf8String(`derpkey${digits}`)).subarray(2),
  ]);
  assert.deepEqual(parseMetaCertificate(foreign({ serial: Buffer.of(0) })), { version: 0, relayKey });
  assert.deepEqual(parseMetaCertificate(foreign({ serial: Buffer.of(255) })), { version: 255, relayKey });
  assert.deepEqual(parseMetaCertificate(foreign({ name: upper })), { version: 2, relayKey });
  assert.deepEqual(parseMetaCertificate(foreign({ name: der.sequence(two) })), { version: 2, relayKey });
});

test("a client passes over every other certificate", () => {
  const named = (name: string) => foreign({ name: buildName(der.utf8String(name)) });
  assert.equal(parseMetaCertificate(foreign({ serial: Buffer.of(1, 0) })), undefined, "serial of 9 bits");
  assert.equal(parseMetaCertificate(named("derp.example.com")), undefined, "another name");
  assert.equal(parseMetaCertificate(named(digits)), undefined, "no prefix");
  assert.equal(parseMetaCertificate(named(`derpkey${digits}0`)), undefined, "a digit too many");
  assert.equal(parseMetaCertificate(foreign({ name: der.sequence() })), undefined, "no name");
});

test("bytes that are no certificate are passed over", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => parseMetaCertificate(bytes) === undefined));
  assert.equal(parseMetaCertificate(certificate.subarray(0, -1)), undefined);
});
