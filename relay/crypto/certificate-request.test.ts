import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import test from "node:test";
import { KitError } from "../errors.ts";
import { buildCertificateRequest } from "./certificate-request.ts";
import * as der from "./der.ts";
import { readSequence } from "./der-reader.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** The parts of a request, in the order of RFC 2986. */
function parse(request: Buffer) {
  const [body, , signature] = readSequence(request) ?? [];
  assert.ok(body && signature);
  const [version, subject, publicKey, attributes] = readSequence(body.whole) ?? [];
  assert.ok(version && subject && publicKey && attributes);
  return { body, signature, version, subject, publicKey, attributes };
}

test("a request is signed by the key that it is for", () => {
  const { body, signature, version, publicKey } = parse(
    buildCertificateRequest({ names: ["a.example"], privateKey }),
  );
  assert.equal(version.contents.toString("hex"), "00");
  const key = createPublicKey({ key: publicKey.whole, format: "der", type: "spki" });
  assert.ok(key.equals(createPublicKey(privateKey)));
  assert.equal(signature.contents[0], 0); // No unused bits.
  assert.ok(verify("sha256", body.whole, key, signature.contents.subarray(1)));
});

test("DNS names and addresses are in the subjectAltName, in the order given", () => {
  const { attributes } = parse(
    buildCertificateRequest({ names: ["a.example", "192.0.2.1", "2001:db8::1"], privateKey }),
  );
  const names = der.sequence(
    der.implicit(2, Buffer.from("a.example")),
    der.implicit(7, Buffer.of(192, 0, 2, 1)),
    der.implicit(7, Buffer.from("20010db8000000000000000000000001", "hex")),
  );
  const extension = der.sequence(der.objectIdentifier("2.5.29.17"), der.octetString(names));
  const request = der.sequence(
    der.objectIdentifier("1.2.840.113549.1.9.14"),
    der.setOfOne(der.sequence(extension)),
  );
  assert.equal(attributes.whole.toString("hex"), der.explicit(0, request).toString("hex"));
});

test("the subject is the first DNS name of at most 64 characters, and empty without one", () => {
  const long = `${"a".repeat(63)}.${"b".repeat(10)}.example`;
  const fits = `${"a".repeat(56)}.example`;
  const subject = (...names: string[]) => parse(buildCertificateRequest({ names, privateKey })).subject.whole;
  assert.ok(subject("192.0.2.1", fits, "b.example").includes(fits));
  for (const names of [["192.0.2.1"], ["2001:db8::1"], [long]]) {
    assert.deepEqual(subject(...names), der.sequence());
  }
});

test("a name that a certificate cannot hold is refused", () => {
  for (const name of ["", "münchen.example", "two words"]) {
    assert.throws(() => buildCertificateRequest({ names: [name], privateKey }), KitError);
  }
});
