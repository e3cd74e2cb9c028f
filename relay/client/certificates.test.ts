import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { buildMetaCertificate } from "../protocol/meta-certificate.ts";
import { createSelfSigned } from "../crypto/self-signed.ts";
import { relayPublic } from "../testing/vectors.ts";
import { daysLeft, findIdentityFault, type ShownCertificates } from "./certificates.ts";

const hostName = "relay.example";
const now = new Date("2026-11-22T12:00:00Z");
const notBefore = new Date("2026-11-01T00:00:00Z");
const notAfter = new Date("2026-12-01T00:00:00Z");

const selfSigned = (name: string): { der: Buffer; pin: string } => {
  const { certificatePem, pin } = createSelfSigned({ hostName: name, notBefore, notAfter });
  return { der: new X509Certificate(certificatePem).raw, pin };
};
const leaf = selfSigned(hostName);
const other = selfSigned("other.example");
const meta = buildMetaCertificate({
  relayKey: relayPublic,
  notBefore,
  notAfter,
  signer: generateKeyPairSync("ed25519").privateKey,
});
const shown = (...certificates: readonly Buffer[]): ShownCertificates => ({
  certificates,
  chainFault: "DEPTH_ZERO_SELF_SIGNED_CERT",
});
const trusted = (certificate: Buffer): ShownCertificates => ({
  certificates: [certificate, meta],
  chainFault: undefined,
});

test("a pinned certificate is accepted alone or with the meta certificate, and needs no authority", () => {
  const identity = { hostName, certName: leaf.pin };
  assert.equal(findIdentityFault(shown(leaf.der), identity, now), undefined);
  assert.equal(findIdentityFault(shown(leaf.der, meta), identity, now), undefined);
});

test("a pinned relay with another certificate, or one more of them, is refused", () => {
  const identity = { hostName, certName: leaf.pin };
  assert.match(findIdentityFault(shown(other.der, meta), identity, now) ?? "", /not the pinned one/);
  assert.match(findIdentityFault(shown(leaf.der, other.der, meta), identity, now) ?? "", /this one shows 2/);
  assert.match(findIdentityFault(shown(), identity, now) ?? "", /no certificate/);
});

test("a pin in upper case fits nothing, as in Go", () => {
  const certName = `sha256-raw:${leaf.pin.slice("sha256-raw:".length).toUpperCase()}`;
  assert.match(findIdentityFault(shown(leaf.der), { hostName, certName }, now) ?? "", /not the pinned one/);
});

test("a pinned certificate has to name a DNS host, and need not name an address", () => {
  const certName = leaf.pin;
  assert.match(
    findIdentityFault(shown(leaf.der), { hostName: "away.example", certName }, now) ?? "",
    /not for away\.example, but for DNS:relay\.example/,
  );
  assert.equal(findIdentityFault(shown(leaf.der), { hostName: "192.0.2.1", certName }, now), undefined);
});

test("outside its validity no certificate is accepted", () => {
  for (const certName of [leaf.pin, ""]) {
    const identity = { hostName, certName };
    const judged = (date: Date): string => findIdentityFault(trusted(leaf.der), identity, date) ?? "";
    assert.match(judged(new Date(notBefore.getTime() - 1_000)), /not valid before 2026-11-01/);
    assert.match(judged(new Date(notAfter.getTime() + 1_000)), /expired on 2026-12-01/);
    assert.equal(judged(notBefore), "");
    assert.equal(judged(notAfter), "");
  }
});

test("without a pin the chain has to be trusted", () => {
  const identity = { hostName, certName: "" };
  assert.equal(findIdentityFault(trusted(leaf.der), identity, now), undefined);
  assert.match(
    findIdentityFault(shown(leaf.der), identity, now) ?? "",
    /self-signed and CertName does not pin it/,
  );
  const unknown = { certificates: [leaf.der], chainFault: "SOME_NEW_CODE" };
  assert.match(findIdentityFault(unknown, identity, now) ?? "", /SOME_NEW_CODE/);
});

test("a CertName that is a name takes the host name's place", () => {
  assert.equal(
    findIdentityFault(trusted(other.der), { hostName, certName: "other.example" }, now),
    undefined,
  );
  assert.match(
    findIdentityFault(trusted(leaf.der), { hostName, certName: "other.example" }, now) ?? "",
    /not for other\.example/,
  );
});

test("a host name that is an address has to be in the certificate as one", () => {
  const address = selfSigned("192.0.2.1");
  assert.equal(
    findIdentityFault(trusted(address.der), { hostName: "192.0.2.1", certName: "" }, now),
    undefined,
  );
  assert.match(
    findIdentityFault(trusted(address.der), { hostName: "192.0.2.2", certName: "" }, now) ?? "",
    /not for 192\.0\.2\.2, but for IP Address:192\.0\.2\.1/,
  );
});

test("days left are whole days, and below zero after the end", () => {
  assert.equal(daysLeft(leaf.der, now), 8);
  assert.equal(daysLeft(leaf.der, new Date("2026-12-01T00:00:01Z")), -1);
});
