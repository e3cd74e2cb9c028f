import assert from "node:assert/strict";
import { test } from "node:test";
import { type AcmePlan, planAcme } from "./acme-plan.ts";

type Config = Parameters<typeof planAcme>[0];
type Addresses = Parameters<typeof planAcme>[1];

function plan(config: Partial<Config>, addresses: Partial<Addresses> = {}): AcmePlan {
  const usual: Config = {
    certMode: "acme",
    hostname: "901a.derp.example.com",
    httpPort: 80,
    acmeDirectory: "",
    acmeStaging: undefined,
    acmeProfile: undefined,
    acmeEmail: "",
    acmeEabKid: "",
    acmeEabKey: "",
    acmeIps: "",
    acmeIpCerts: false,
  };
  return planAcme({ ...usual, ...config }, { bound: undefined, present: [], ...addresses });
}

const names = ({ certificates }: AcmePlan): string[][] =>
  certificates.map(({ identifiers }) => identifiers.map(({ value }) => value));

test("a name's certificate comes from Let's Encrypt, with its staging environment for trials", () => {
  const { directory, staging, certificates, binding } = plan({});
  assert.equal(directory.href, "https://acme-v02.api.letsencrypt.org/directory");
  assert.equal(staging?.href, "https://acme-staging-v02.api.letsencrypt.org/directory");
  assert.equal(binding, undefined);
  assert.deepEqual(certificates, [
    {
      identifiers: [{ type: "dns", value: "901a.derp.example.com" }],
      profile: undefined,
      methods: ["tls-alpn-01", "http-01"],
    },
  ]);
});

test("another directory has no staging environment unless one is named, and Let's Encrypt's can be left out", () => {
  const acmeDirectory = "https://ca.example/dir";
  assert.equal(plan({ acmeDirectory }).staging, undefined);
  assert.equal(plan({ acmeDirectory, acmeStaging: "https://ca.example/trial" }).staging?.pathname, "/trial");
  assert.equal(plan({ acmeStaging: "" }).staging, undefined);
  assert.equal(plan({ certMode: "gcp" }).directory.hostname, "dv.acme-v02.api.pki.goog");
  assert.equal(plan({ certMode: "gcp", acmeDirectory }).directory.href, acmeDirectory);
});

test("without a plain HTTP port HTTP-01 is not tried", () => {
  assert.deepEqual(plan({ httpPort: -1 }).certificates[0]?.methods, ["tls-alpn-01"]);
});

test("a binding of the account goes to whoever was named, and to Let's Encrypt in derper's mode never", () => {
  const given = { acmeEabKid: "kid-1", acmeEabKey: "a-_b" };
  const binding = { kid: "kid-1", key: Buffer.from("a+/b", "base64") };
  assert.deepEqual(plan(given).binding, binding);
  assert.deepEqual(plan({ ...given, certMode: "gcp", acmeEabKey: "a+/b" }).binding, binding);
  assert.equal(plan({ ...given, certMode: "letsencrypt" }).binding, undefined);
  assert.deepEqual(
    plan({ ...given, certMode: "letsencrypt", acmeDirectory: "https://ca.example" }).binding,
    binding,
  );
});

test("one certificate names all addresses of the machine, the host name's first, each once", () => {
  const acmeIp = { certMode: "acme-ip", hostname: "8.8.8.8" } as const;
  const present = ["127.0.0.1", "10.0.0.5", "8.8.8.8", "2600:1f18::5", "fe80::1", "::1"];
  assert.deepEqual(names(plan(acmeIp, { present })), [["8.8.8.8", "2600:1f18::5"]]);
  assert.deepEqual(names(plan({ ...acmeIp, acmeIps: "2600:1f18:0::6" }, { present })), [
    ["8.8.8.8", "2600:1f18::6"],
  ]);
  assert.deepEqual(names(plan(acmeIp)), [["8.8.8.8"]]);
  const unnamed = { certMode: "acme-ip", hostname: "derp.tailscale.com" } as const;
  assert.deepEqual(names(plan(unnamed, { bound: "127.0.0.1", present: ["127.0.0.1"] })), [["127.0.0.1"]]);
  assert.deepEqual(names(plan(unnamed, { present: ["10.0.0.5"] })), []);
  assert.equal(plan(acmeIp).certificates[0]?.profile, "shortlived");
  assert.equal(plan({ ...acmeIp, acmeProfile: "" }).certificates[0]?.profile, undefined);
  assert.equal(plan(acmeIp).forName("derp.example.com"), undefined);
  assert.equal(plan(acmeIp).forAddress("8.8.4.4"), undefined);
});

test("43. with -acme-ip-certs each address that clients come to gets one of its own, by HTTP-01 first", () => {
  const { certificates, forAddress, forName } = plan({
    certMode: "letsencrypt",
    acmeIpCerts: true,
  });
  assert.deepEqual(
    certificates.map(({ identifiers }) => identifiers[0].type),
    ["dns"],
  );
  assert.deepEqual(forAddress("2600:1f18:0::5"), {
    identifiers: [{ type: "ip", value: "2600:1f18::5" }],
    profile: "shortlived",
    methods: ["http-01", "tls-alpn-01"],
  });
  assert.equal(forName("8.8.8.8"), undefined);
});

test("a public authority is not asked about an address that only this network knows; one that was named is", () => {
  const options = { certMode: "letsencrypt", acmeIpCerts: true } as const;
  assert.equal(plan(options).forAddress("10.0.0.5"), undefined);
  assert.ok(plan({ ...options, acmeDirectory: "https://ca.example" }).forAddress("10.0.0.5"));
  assert.deepEqual(names(plan({ ...options, hostname: "8.8.8.8" })), [["8.8.8.8"]]);
});

test("42. Given production host policy, then the names of upstream's table are allowed/refused (`derp02.tailscale.com` yes, `derp02.bar.tailscale.com` no, `example.net` no).", () => {
  const tailscales = plan({ certMode: "letsencrypt", hostname: "derp.tailscale.com" });
  assert.deepEqual(names(tailscales), []);
  for (const name of ["derp.tailscale.com", "derp02.tailscale.com", "derp-foo.tailscale.com"]) {
    assert.equal(tailscales.forName(name)?.identifiers[0].value, name);
  }
  for (const name of [
    "derp02.bar.tailscale.com",
    "example.net",
    "xderp.tailscale.com",
    "derp1.tailscale.com.evil",
  ]) {
    assert.equal(tailscales.forName(name), undefined, name);
  }
  const ours = plan({ certMode: "letsencrypt", hostname: "Derp.Example.com" });
  assert.ok(ours.forName("derp.example.com"));
  for (const name of ["derp02.tailscale.com", "example.com", "a.derp.example.com"]) {
    assert.equal(ours.forName(name), undefined, name);
  }
});
