import assert from "node:assert/strict";
import test from "node:test";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { renderPem } from "../crypto/pem.ts";
import { certificateId } from "./certificate-id.ts";

/** RFC 9773, appendix A. */
const example = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
const exampleId = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
const { certificatePem } = createSelfSigned({ hostName: "a.example", ...pinnedValidity(new Date(0)) });

test("the id is that of RFC 9773's example, the serial number with its leading zero byte", () => {
  assert.equal(certificateId(example), exampleId);
});

test("of a chain it is the first certificate's, whatever the line ends", () => {
  assert.equal(certificateId(example + certificatePem), exampleId);
  assert.equal(certificateId(`# from the CA\r\n${example.replaceAll("\n", "\r\n")}`), exampleId);
});

test("a certificate without an authority key identifier has none", () => {
  assert.equal(certificateId(certificatePem), undefined);
  assert.equal(certificateId(certificatePem + example), undefined);
});

test("what is no certificate has none", () => {
  for (const pem of [
    "",
    "no PEM",
    renderPem("CERTIFICATE", Buffer.alloc(0)),
    renderPem("PRIVATE KEY", Buffer.of(0x30, 0)),
  ]) {
    assert.equal(certificateId(pem), undefined);
  }
});

test("a certificate cut off or changed anywhere has another id or none, and never fails", () => {
  const der = Buffer.from(example.split("\n").slice(1, -2).join(""), "base64");
  for (let at = 0; at < der.length; at++) {
    assert.equal(certificateId(renderPem("CERTIFICATE", der.subarray(0, at))), undefined);
    const changed = Buffer.from(der);
    changed[at] = (der[at] ?? 0) ^ 0x55;
    const id = certificateId(renderPem("CERTIFICATE", changed));
    assert.ok(id === undefined || /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(id));
  }
});
