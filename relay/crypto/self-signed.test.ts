import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import test from "node:test";
import tls from "node:tls";
import { KitError } from "../errors.ts";
import { certificatePin, createSelfSigned } from "./self-signed.ts";

const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2036-01-01T00:00:00Z") };
const make = (hostName: string) => createSelfSigned({ hostName, ...validity });
const parse = (pem: string) => new X509Certificate(pem);

test("38. the certificate has the properties of derper's own", () => {
  const certificate = parse(make("192.0.2.1").certificatePem);
  assert.equal(certificate.subject, "CN=192.0.2.1");
  assert.equal(certificate.issuer, certificate.subject);
  assert.equal(certificate.subjectAltName, "IP Address:192.0.2.1");
  assert.deepEqual(certificate.publicKey.asymmetricKeyDetails, { namedCurve: "prime256v1" });
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.equal(certificate.validFromDate.getTime(), validity.notBefore.getTime());
  assert.equal(certificate.validToDate.getTime(), validity.notAfter.getTime());
  assert.ok(certificate.verify(certificate.publicKey));
  // keyUsage, critical: digitalSignature and keyEncipherment.
  assert.ok(certificate.raw.includes(Buffer.from("300e0603551d0f0101ff0404030205a0", "hex")));
});

test("a DNS name, an IPv4 and an IPv6 address are each what the certificate is valid for", () => {
  assert.equal(
    parse(make("901a.derp.example.com").certificatePem).checkHost("901a.derp.example.com"),
    "901a.derp.example.com",
  );
  assert.equal(
    parse(make("901a.derp.example.com").certificatePem).checkHost("901b.derp.example.com"),
    undefined,
  );
  assert.equal(parse(make("192.0.2.1").certificatePem).checkIP("192.0.2.1"), "192.0.2.1");
  assert.equal(parse(make("2001:db8::1").certificatePem).checkIP("2001:db8:0::1"), "2001:db8:0::1");
  assert.equal(parse(make("2001:db8::1").certificatePem).checkIP("2001:db8::2"), undefined);
});

test("a host name of more than 64 characters is in the SAN whole and in the subject by its first label", () => {
  const hostName = `node.${"a".repeat(60)}.example.com`;
  const certificate = parse(make(hostName).certificatePem);
  assert.equal(certificate.checkHost(hostName, { subject: "never" }), hostName);
  assert.equal(certificate.subject, "CN=node");
});

test("a host name that a certificate cannot hold is an error with the way out", () => {
  for (const hostName of ["", "münchen.example", "two words", "line\nbreak"]) {
    assert.throws(
      () => make(hostName),
      (error) =>
        error instanceof KitError && error.code === "certificate-invalid" && error.fix.includes("xn--"),
      JSON.stringify(hostName),
    );
  }
});

test("the key is a SEC1 one and belongs to the certificate", () => {
  const { certificatePem, keyPem } = make("192.0.2.1");
  assert.match(keyPem, /^-----BEGIN EC PRIVATE KEY-----\n/);
  assert.ok(parse(certificatePem).checkPrivateKey(createPrivateKey(keyPem)));
});

test("two certificates for one host differ in serial number and key; given ones are used", () => {
  const privateKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const serial = Buffer.from("ff".repeat(16), "hex");
  const [first, second] = [parse(make("a.example").certificatePem), parse(make("a.example").certificatePem)];
  assert.notEqual(first.serialNumber, second.serialNumber);
  assert.ok(!first.publicKey.equals(second.publicKey));
  const given = createSelfSigned({ hostName: "a.example", ...validity, privateKey, serial });
  assert.equal(parse(given.certificatePem).serialNumber, "FF".repeat(16));
  assert.ok(parse(given.certificatePem).checkPrivateKey(privateKey));
});

test("38. a client that pins the certificate meets exactly that one", async (t) => {
  const hourMs = 3_600_000;
  const [notBefore, notAfter] = [new Date(Date.now() - hourMs), new Date(Date.now() + hourMs)];
  const { certificatePem, keyPem, pin } = createSelfSigned({ hostName: "127.0.0.1", notBefore, notAfter });
  assert.match(pin, /^sha256-raw:[0-9a-f]{64}$/);
  const server = tls.createServer({ cert: certificatePem, key: keyPem }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const client = tls.connect({ host: "127.0.0.1", port: address.port, ca: certificatePem });
  t.after(() => client.destroy());
  await once(client, "secureConnect");
  assert.ok(client.authorized);
  assert.equal(certificatePin(client.getPeerCertificate().raw), pin);
});
