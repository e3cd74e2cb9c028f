import assert from "node:assert/strict";
import { test } from "node:test";
import { findModeFault, servesTls } from "./certificate-mode.ts";
import { parseListenAddress } from "./listen-address.ts";

type Options = Parameters<typeof findModeFault>[0];

const usual: Options = {
  certMode: "manual",
  hostname: "derp.example.com",
  acmeEmail: "",
  acmeEabKid: "",
  acmeEabKey: "",
  acmeIpCerts: false,
};

function fault(options: Partial<Options>, certDir = "/certs"): string | undefined {
  const found = findModeFault({ ...usual, ...options }, certDir);
  return found && `${found.path} ${found.message}`;
}

test("TLS is for port 443 and for the modes whose certificate lies in a file", () => {
  const table = [
    [":443", "letsencrypt", true],
    ["127.0.0.1:https", "gcp", true],
    [":8443", "letsencrypt", false],
    [":80", "gcp", false],
    [":8443", "manual", true],
    [":8443", "pinned", true],
  ] as const;
  for (const [listen, certMode, tls] of table) {
    const address = parseListenAddress(listen);
    assert.ok(address !== undefined);
    assert.equal(servesTls(address, certMode), tls, `${listen} ${certMode}`);
  }
});

test("44. given the mode/hostname/flag combinations of upstream's gating table, then errors name the right flag", () => {
  const ip = "1.2.3.4";
  const refused = [
    [{ certMode: "letsencrypt", hostname: ip }, /^hostname \(-hostname\) .*-acme-ip-certs/],
    [{ certMode: "gcp", hostname: ip }, /^hostname \(-hostname\) .*DNS name with -certmode=gcp/],
    [{ certMode: "gcp", hostname: ip, acmeIpCerts: true }, /^acmeIpCerts .*-certmode=letsencrypt/],
    [{ certMode: "manual", hostname: ip, acmeIpCerts: true }, /^acmeIpCerts .*-certmode=letsencrypt/],
    [{ certMode: "pinned", acmeIpCerts: true }, /^acmeIpCerts .*-certmode=letsencrypt/],
    [{ certMode: "manual", hostname: "" }, /^hostname/],
  ] as const;
  for (const [options, message] of refused) assert.match(fault(options) ?? "", message);
  assert.match(fault({}, "") ?? "", /^certDir \(-certdir\)/);
  assert.equal(fault({ hostname: ip }), undefined);
  assert.equal(fault({ certMode: "pinned" }), undefined);
});

test("41. Given gcp mode, then missing EAB id/key, missing e-mail or invalid base64 is an error; base64url without padding and base64 with padding work.", () => {
  const complete = {
    certMode: "gcp",
    acmeEabKid: "kid",
    acmeEabKey: "dGVzdC1rZXk",
    acmeEmail: "a@example.com",
  } as const;
  assert.match(fault({ ...complete, acmeEabKid: "" }) ?? "", /-acme-eab-kid/);
  assert.match(fault({ ...complete, acmeEabKey: "" }) ?? "", /-acme-eab-key/);
  assert.match(fault({ ...complete, acmeEmail: "" }) ?? "", /-acme-email/);
  for (const key of ["not-valid!", "dGVzdC1rZXk==", "dGVzd"]) {
    assert.match(fault({ ...complete, acmeEabKey: key }) ?? "", /^acmeEabKey/, key);
  }
  for (const key of ["dGVzdC1rZXk", "dGVzdC1rZXk=", "dGVz", "a-_b", "a+/b"]) {
    assert.match(fault({ ...complete, acmeEabKey: key }) ?? "", /^certMode/, key);
  }
});

test("what only a later version can do is said, once all else is as it should be", () => {
  for (const options of [
    { certMode: "letsencrypt" },
    { certMode: "letsencrypt", acmeIpCerts: true },
    { certMode: "letsencrypt", hostname: "1.2.3.4", acmeIpCerts: true },
  ] as const) {
    assert.equal(
      fault(options),
      "certMode (-certmode) certmode letsencrypt comes with a later version: use manual or pinned",
    );
  }
});
