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
  acmeDirectory: "",
};

function fault(options: Partial<Options>, certDir = "/certs"): string | undefined {
  const found = findModeFault({ ...usual, ...options }, certDir);
  return found && `${found.path} ${found.message}`;
}

test("TLS is for port 443, for the modes that derper does not have, for manual, and for whoever names a directory", () => {
  const table = [
    [":443", "letsencrypt", true],
    ["127.0.0.1:https", "gcp", true],
    [":8443", "letsencrypt", false],
    [":80", "gcp", false],
    [":8443", "manual", true],
    [":8443", "pinned", true],
    [":8443", "acme", true],
    [":8443", "acme-ip", true],
  ] as const;
  for (const [listen, certMode, tls] of table) {
    const address = parseListenAddress(listen);
    assert.ok(address !== undefined);
    assert.equal(servesTls(address, { certMode, acmeDirectory: "" }), tls, `${listen} ${certMode}`);
    assert.ok(servesTls(address, { certMode, acmeDirectory: "https://ca.example/dir" }));
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
    assert.equal(fault({ ...complete, acmeEabKey: key }), undefined, key);
  }
});

test("a mode that asks an authority wants what the certificate is for", () => {
  const ip = "1.2.3.4";
  const refused = [
    [{ certMode: "acme", hostname: ip }, /^hostname .*-certmode=acme-ip/],
    [{ certMode: "acme", hostname: "derp.tailscale.com" }, /^hostname .*has to be given/],
    [{ certMode: "acme", hostname: "two words" }, /^hostname .*no DNS name/],
    [{ certMode: "acme", hostname: "derp.example.com:443" }, /^hostname .*no DNS name/],
    [{ certMode: "acme", hostname: "*.example.com" }, /^hostname .*no DNS name/],
    [{ certMode: "acme-ip", hostname: "derp.example.com" }, /^hostname .*use acme/],
    [{ certMode: "acme", acmeEabKid: "kid" }, /^acmeEabKey .*go together/],
    [{ certMode: "acme", acmeEabKey: "a2V5" }, /^acmeEabKid .*go together/],
    [{ certMode: "acme", acmeEabKid: "kid", acmeEabKey: "not base64!" }, /^acmeEabKey .*not base64/],
    [{ certMode: "manual", acmeDirectory: "https://ca.example/dir" }, /^acmeDirectory .*-certmode=acme/],
  ] as const;
  for (const [options, message] of refused) assert.match(fault(options) ?? "", message);
  const taken = [
    { certMode: "acme" },
    { certMode: "acme", hostname: "localhost" },
    { certMode: "acme", acmeEabKid: "kid", acmeEabKey: "a2V5" },
    { certMode: "acme-ip", hostname: ip },
    { certMode: "acme-ip", hostname: "2001:db8::1" },
    { certMode: "acme-ip", hostname: "derp.tailscale.com" }, // -acme-ips says the addresses.
    { certMode: "letsencrypt" },
    { certMode: "letsencrypt", acmeEabKid: "derper looks at neither" },
    { certMode: "letsencrypt", hostname: "derp.tailscale.com" },
    { certMode: "letsencrypt", hostname: ip, acmeIpCerts: true },
    { certMode: "letsencrypt", acmeIpCerts: true },
  ] as const;
  for (const options of taken) assert.equal(fault(options), undefined, JSON.stringify(options));
});
