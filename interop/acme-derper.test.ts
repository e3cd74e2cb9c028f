/** derper and our relay on one certificate folder, one after the other: neither needs a new certificate or account. */
import assert from "node:assert/strict";
import path from "node:path";
import process from "node:process";
import { describe, test, type TestContext } from "node:test";
import {
  type AcmePlace,
  anotherCertificate,
  createAcmePlace,
  hangUp,
  holds,
  pastWindow,
  replaced,
  type Runtime,
  servedCertificate,
  type shakeHands,
  startAcmeRelay,
  startPebbleFor,
  unknownName,
} from "./acme-relay.ts";
import { spawnRelay, stop, whyMissing } from "./conformance/relay-under-test.ts";
import { startLetsEncrypt } from "./lets-encrypt.ts";
import { type Pebble, whyNoPebble } from "./pebble.ts";

/** derper serves TLS there only. An address of its own keeps test files apart. */
const tlsPort = 443;
const derperAddress = `127.${1 + (process.pid % 250)}.${1 + ((process.pid >> 8) % 250)}.1`;

const whyNot =
  whyNoPebble || (process.getuid?.() !== 0 && "derper has to listen on port 443, which takes root here");
const options = (kind: Runtime): { readonly skip: string | false; readonly timeout: number } => ({
  skip: whyNot || (whyMissing("derper") ?? whyMissing(kind) ?? false),
  timeout: 180_000,
});

// One after the other: the port is fixed.
describe("one certificate folder, derper and our relay", () => {
  for (const kind of ["node", "bun"] as const) {
    test(
      `the relay serves what derper has got, renews it with derper's account, and derper serves that (${kind})`,
      options(kind),
      async (t) => {
        const place = await createAcmePlace(t);
        // derper names no profile.
        const pebble = await startPebbleFor(t, place, { tlsPort, profiles: ["default"] });
        await pebble.setA(unknownName, [derperAddress]);
        const first = await seeDerper(t, place, pebble);
        assert.equal(await pebble.certStatus(first), "Valid");
        const spent = pebble.orders();

        await pebble.setA(unknownName, ["127.0.0.1"]);
        const flags = { certmode: "letsencrypt", hostname: unknownName, "http-port": `${place.httpPort}` };
        const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
        const wish = { port: place.derpPort, name: unknownName, root: pebble.root };
        assert.equal((await servedCertificate(wish)).serialNumber, first.serialNumber);
        assert.deepEqual([pebble.orders(), pebble.accounts()], [spent, 1]);

        await pebble.setRenewalInfo(first.toString(), pastWindow());
        hangUp(relay);
        const second = await anotherCertificate(wish, first);
        // Pebble lets only the account that has got a certificate replace it.
        await replaced(pebble, relay, first);
        assert.equal(pebble.accounts(), 1);
        await holds(path.join(place.certDir, unknownName), second.toString());
        await relay.kill();
        await assertDerperServes(t, place, pebble, second.serialNumber);
      },
    );

    test(`derper serves what the relay has got, and asks nobody (${kind})`, options(kind), async (t) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place);
      const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags: { hostname: unknownName } });
      const wish = { port: place.derpPort, name: unknownName, root: pebble.root };
      const leaf = await servedCertificate(wish);
      await holds(path.join(place.certDir, unknownName), leaf.toString());
      await relay.kill();
      await assertDerperServes(t, place, pebble, leaf.serialNumber);
    });
  }
});

type Certificate = Awaited<ReturnType<typeof shakeHands>>;

/** Runs derper until a client has seen its certificate, for which it may ask Let's Encrypt, who is Pebble. */
async function seeDerper(t: TestContext, place: AcmePlace, pebble: Pebble): Promise<Certificate> {
  const letsEncrypt = await startLetsEncrypt(t, pebble);
  return (await runDerper(t, place, pebble, letsEncrypt.env)).certificate;
}

async function assertDerperServes(
  t: TestContext,
  place: AcmePlace,
  pebble: Pebble,
  serialNumber: string,
): Promise<void> {
  const letsEncrypt = await startLetsEncrypt(t, pebble);
  const spent = pebble.orders();
  const { certificate, log } = await runDerper(t, place, pebble, letsEncrypt.env);
  assert.equal(certificate.serialNumber, serialNumber, log);
  assert.deepEqual([letsEncrypt.connections(), pebble.orders()], [0, spent]);
}

async function runDerper(
  t: TestContext,
  { files, certDir }: AcmePlace,
  { root }: Pebble,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly certificate: Certificate; readonly log: string }> {
  const flags = {
    a: `${derperAddress}:${tlsPort}`,
    c: path.join(files.folder, "derper.key"),
    certmode: "letsencrypt",
    certdir: certDir,
    hostname: unknownName,
    "http-port": "-1",
    stun: "false",
  };
  const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
  const derper = await spawnRelay("derper", files, args, env);
  t.after(() => stop(derper.process));
  const wish = { port: tlsPort, address: derperAddress, name: unknownName, root };
  const certificate = await servedCertificate(wish).catch((error: unknown) => {
    throw new Error(derper.log(), { cause: error });
  });
  await stop(derper.process);
  return { certificate, log: derper.log() };
}
