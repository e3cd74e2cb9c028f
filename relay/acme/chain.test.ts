import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import test from "node:test";
import { buildCertificateRequest } from "../crypto/certificate-request.ts";
import { renderPem } from "../crypto/pem.ts";
import { checkChain } from "./chain.ts";
import { identify } from "./identifier.ts";
import { type Issued, issueChain, today } from "./testing/fake-ca.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
const names = ["a.example", "192.0.2.1", "2001:db8::1"];
const ordered = { identifiers: names.map(identify), csr: buildCertificateRequest({ names, privateKey }) };
const hourMs = 3_600_000;

const check = (pem: string) => checkChain(pem, ordered, today);
const issued = (more: Partial<Issued> = {}) => issueChain({ publicKey, names, ...more });
const fault = (pem: string) => {
  const checked = check(pem);
  return "fault" in checked ? checked.fault : undefined;
};

test("a chain that is as ordered is handed on without what stands around it", () => {
  const chain = issued();
  assert.deepEqual(check(chain), { chain });
  assert.deepEqual(check(`subject=a.example\r\n${chain.replaceAll("\n", "\r\n")}\n\n`), { chain });
});

test("a certificate may have more names than were ordered, and not fewer", () => {
  assert.equal(fault(issued({ names: [...names, "b.example"] })), undefined);
  for (const missing of names) {
    assert.equal(
      fault(issued({ names: names.filter((one) => one !== missing) })),
      `it is not valid for ${missing}`,
    );
  }
});

test("a clock that is wrong by less than a day refuses nothing", () => {
  assert.equal(fault(issued({ notBefore: today + 23 * hourMs })), undefined);
  assert.match(fault(issued({ notBefore: today + 25 * hourMs })) ?? "", /valid from 2026-06-02T13/);
  const notBefore = today - 99 * hourMs;
  assert.equal(fault(issued({ notBefore, notAfter: today - 23 * hourMs })), undefined);
  assert.match(fault(issued({ notBefore, notAfter: today - 25 * hourMs })) ?? "", /ended at 2026-05-31T11/);
});

test("another key's certificate is refused, and so is a request that cannot be read", () => {
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  const key = other.export({ type: "spki", format: "der" });
  assert.equal(fault(issued({ publicKey: key })), "it is for another key");
  assert.deepEqual(checkChain(issued(), { ...ordered, csr: Buffer.of(0x30) }, today), {
    fault: "it is for another key",
  });
});

test("what holds anything but certificates is refused", () => {
  const chain = issued();
  const certificate = /-----BEGIN[^]*?END CERTIFICATE-----\n/.exec(chain)?.[0] ?? "";
  for (const pem of [
    "",
    "no PEM",
    chain + renderPem("PRIVATE KEY", Buffer.alloc(40)),
    renderPem("CERTIFICATE", Buffer.alloc(40)),
    `${chain}-----BEGIN CERTIFICATE-----\n`,
    chain.replace("-----END", "----END"),
    certificate.repeat(11),
  ]) {
    assert.equal(fault(pem), "it is no chain of certificates");
  }
});
