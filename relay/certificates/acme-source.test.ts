import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { type FakeCa, issueChain, startFakeCa, today } from "../acme/testing/fake-ca.ts";
import { buildAgents } from "../outbound/http.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { planAcme } from "./acme-plan.ts";
import { createAcmeSource } from "./acme-source.ts";
import type { Asked, KeptSource } from "./source.ts";
import { TestClock } from "./testing/test-clock.ts";

type Config = Parameters<typeof planAcme>[0];

/** Nobody listens there: the check before an order fails, which is advice. */
const ports = { "tls-alpn-01": [1], "http-01": [1] };

interface Scene {
  readonly ca: FakeCa;
  readonly clock: TestClock;
  readonly source: KeptSource;
  readonly find: (servername?: string, localAddress?: string) => Promise<string | undefined>;
}

async function setUp(t: TestContext, config: Partial<Config>): Promise<Scene> {
  const ca = await startFakeCa(t);
  ca.meta = { profiles: { shortlived: "six days" } };
  ca.issue = (publicKey, names) => issueChain({ publicKey, names, serial: Buffer.from(names.join()) });
  const usual: Config = {
    certMode: "acme",
    hostname: "relay.example",
    httpPort: 80,
    acmeDirectory: ca.directory.href,
    acmeStaging: "",
    acmeProfile: undefined,
    acmeEmail: "",
    acmeEabKid: "",
    acmeEabKey: "",
    acmeIps: "",
    acmeIpCerts: false,
  };
  const clock = new TestClock(today);
  // Before the folder is removed, which it writes to.
  t.after(() => source[Symbol.asyncDispose]());
  const source = createAcmeSource({
    plan: planAcme({ ...usual, ...config }, { bound: undefined, present: [] }),
    certDir: temporaryFolder(t),
    agents: buildAgents({ env: {} }),
    userAgent: "derpkit/test",
    clock,
    random: () => 0.5,
    resolve: () => Promise.reject(new Error("no DNS here")),
    log: () => {},
  });
  // Checks of addresses fail at once; those of names as well. Time passes until orders go out all the same.
  const impatience = setInterval(() => clock.advance(5_000), 5);
  t.after(() => clearInterval(impatience));
  const find: Scene["find"] = async (servername, localAddress) => {
    const asked: Asked = { servername, localAddress };
    const pair = await source.find(asked);
    return pair === undefined ? undefined : new X509Certificate(pair.chain).subjectAltName;
  };
  return { ca, clock, source, find };
}

test("a name's certificate is for those who ask for it, in any case, who wait for the first; others are refused", async (t) => {
  const { ca, source, find } = await setUp(t, {});
  assert.equal(await find("relay.example"), undefined, "before anybody listens nothing is asked for");
  source.start(ports);
  assert.equal(await find("relay.example"), "DNS:relay.example");
  assert.equal(await find("RELAY.example"), "DNS:relay.example");
  for (const servername of ["other.example", "127.0.0.1", undefined]) {
    assert.equal(await find(servername, "127.0.0.1"), undefined, servername);
  }
  assert.equal(ca.at("/order").length, 1);
  assert.deepEqual(
    source.statuses().map(({ name }) => name),
    ["relay.example"],
  );
});

test("a certificate of addresses is for who names none, or one of them, wherever he came to; no name gets it", async (t) => {
  const { ca, source, find } = await setUp(t, {
    certMode: "acme-ip",
    hostname: "127.0.0.5",
    acmeIps: "::1",
  });
  source.start(ports);
  const both = "IP Address:127.0.0.5, IP Address:0:0:0:0:0:0:0:1";
  for (const address of ["127.0.0.5", "::1", "10.0.0.5", "127.0.0.1", undefined]) {
    assert.equal(await find(undefined, address), both, address);
  }
  assert.equal(await find("127.0.0.5", "10.0.0.5"), both);
  assert.equal(await find("0::1", "10.0.0.5"), both);
  for (const servername of ["192.0.2.9", "relay.example"])
    assert.equal(await find(servername, "127.0.0.5"), undefined);
  assert.equal(ca.at("/order").length, 1);
  assert.equal(ca.at("/order")[0]?.payload["profile"], "shortlived");
});

test("43. Given -acme-ip-certs, each address that clients come to causes one order of type ip, and what it names none; the host name has its own", async (t) => {
  const { ca, source, find } = await setUp(t, { certMode: "letsencrypt", acmeIpCerts: true });
  source.start(ports);
  assert.equal(await find("relay.example", "127.0.0.5"), "DNS:relay.example");
  assert.equal(await find(undefined, "127.0.0.5"), "IP Address:127.0.0.5");
  assert.equal(await find(undefined, "::1"), "IP Address:0:0:0:0:0:0:0:1");
  assert.equal(await find("127.0.0.5", "127.0.0.5"), "IP Address:127.0.0.5", "from memory");
  for (const foreign of ["192.0.2.9", "other.example"])
    assert.equal(await find(foreign, "127.0.0.5"), undefined);
  const orders = ca.at("/order").map(({ payload }) => payload["identifiers"]);
  assert.deepEqual(orders, [
    [{ type: "dns", value: "relay.example" }],
    [{ type: "ip", value: "127.0.0.5" }],
    [{ type: "ip", value: "::1" }],
  ]);
  const methods = ca.asked
    .filter(({ path }) => path.startsWith("/challenge/"))
    .map(({ path }) => path.split("/")[3]);
  assert.deepEqual(methods, ["tls-alpn-01", "http-01", "http-01"]);
});

test("43. Given -acme-ip-certs and an address as host name, then DNS SNI is refused", async (t) => {
  const { source, find } = await setUp(t, {
    certMode: "letsencrypt",
    acmeIpCerts: true,
    hostname: "127.0.0.5",
  });
  source.start(ports);
  assert.equal(await find(undefined, "127.0.0.5"), "IP Address:127.0.0.5");
  assert.equal(await find("relay.example", "127.0.0.5"), undefined);
});

test("clients cannot have more than so many certificates ordered", async (t) => {
  const { source } = await setUp(t, { certMode: "letsencrypt", hostname: "derp.tailscale.com" });
  source.start(ports);
  for (let number = 0; number < 100; number++) {
    void source.find({ servername: `derp${number}.tailscale.com`, localAddress: undefined });
  }
  assert.equal(source.statuses().length, 32);
});

test("nobody waits for a certificate that will not come soon", async (t) => {
  const { ca, source } = await setUp(t, {});
  ca.answer = (response) => void response.socket?.destroy();
  source.start(ports);
  const asked = { servername: "relay.example", localAddress: undefined };
  assert.ok(source.find(asked) instanceof Promise);
  while (source.find(asked) !== undefined) await new Promise(setImmediate);
});

test("who waits is told when the relay ends", async (t) => {
  const { ca, source, find } = await setUp(t, {});
  ca.answer = () => {};
  source.start(ports);
  const waiting = find("relay.example");
  await source[Symbol.asyncDispose]();
  assert.equal(await waiting, undefined);
});
