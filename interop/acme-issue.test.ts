/** How a relay gets a certificate from an authority: by which proof, for what, and what it says when it gets none. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { describe } from "node:test";
import { createServer } from "node:tls";
import { createSelfSigned } from "../relay/crypto/self-signed.ts";
import {
  createAcmePlace,
  holds,
  knownName,
  onNodeAndBun,
  says,
  servedCertificate,
  shakeHands,
  startAcmeRelay,
  startPebbleFor,
  unknownName,
} from "./acme-relay.ts";
import { externalAccount, refusedDomain } from "./pebble.ts";
import { freePort } from "./test-ports.ts";

const dayMs = 86_400_000;

describe("a relay gets a certificate", { concurrency: 4 }, () => {
  onNodeAndBun("for a name by TLS-ALPN-01, with no port for HTTP, in derper's file", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble });
    const leaf = await servedCertificate({ port: place.derpPort, name: knownName, root: pebble.root });
    assert.equal(await pebble.certStatus(leaf), "Valid");
    assert.deepEqual([pebble.orders(), pebble.issued(), pebble.httpQuestions()], [1, 1, 0]);
    await says(relay, /certificate of localhost: .*valid until/);
    const file = path.join(place.certDir, knownName);
    await holds(file, leaf.toString());
    for (const secret of [file, path.join(place.certDir, "acme_account+key")]) {
      assert.match(await readFile(secret, "utf8"), /^-----BEGIN EC PRIVATE KEY-----/);
      assert.equal((await stat(secret)).mode & 0o777, 0o600);
    }
  });

  onNodeAndBun("for a name that it cannot find itself, after it has said so", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags: { hostname: unknownName } });
    await servedCertificate({ port: place.derpPort, name: unknownName, root: pebble.root });
    await says(relay, /DNS has no address for relay\.derpkit\.test/);
    assert.equal(pebble.orders(), 1);
  });

  onNodeAndBun("for a name by HTTP-01 where TLS-ALPN-01 does not come through", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place, { tlsPort: await freePort("tcp") });
    // As derper is told; that it serves TLS on this port is ours.
    const flags = { certmode: "letsencrypt", "http-port": `${place.httpPort}` };
    const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
    const leaf = await servedCertificate({ port: place.derpPort, name: knownName, root: pebble.root });
    assert.equal(await pebble.certStatus(leaf), "Valid");
    assert.equal(pebble.httpQuestions(), 3);
    assert.equal(pebble.issued(), 1);
    await says(relay, /tls-alpn-01/i);
    await says(relay, /http-01/i);
  });

  onNodeAndBun("for an IPv4 and an IPv6 address by TLS-ALPN-01, for six days", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const flags = { ...acmeIp, a: `:${place.derpPort}`, "acme-ips": "127.0.0.1,::1" };
    const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
    const wish = { port: place.derpPort, root: pebble.root };
    const leaf = await servedCertificate({ ...wish, name: "127.0.0.1" });
    assert.equal((await shakeHands({ ...wish, name: "::1" })).serialNumber, leaf.serialNumber);
    assert.equal(await pebble.certStatus(leaf), "Valid");
    assert.equal(Math.round((leaf.validToDate.getTime() - leaf.validFromDate.getTime()) / dayMs), 6);
    assert.deepEqual([pebble.orders(), pebble.issued(), pebble.httpQuestions()], [1, 1, 0]);
    await says(relay, /certificate of 127\.0\.0\.1: .*valid until/);
    const file = (name: string): string => path.join(place.certDir, name);
    await holds(file("127.0.0.1.crt"), leaf.toString());
    for (const secret of [file("127.0.0.1.key"), file("acme-account.key")]) {
      assert.match(await readFile(secret, "utf8"), /^-----BEGIN EC PRIVATE KEY-----/);
      assert.equal((await stat(secret)).mode & 0o777, 0o600);
    }
  });

  onNodeAndBun("for an IP address by HTTP-01 where TLS-ALPN-01 does not come through", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place, { tlsPort: await freePort("tcp") });
    const flags = { ...acmeIp, "http-port": `${place.httpPort}` };
    await startAcmeRelay(t, { ...place, kind, pebble, flags });
    const leaf = await servedCertificate({ port: place.derpPort, name: "127.0.0.1", root: pebble.root });
    assert.equal(await pebble.certStatus(leaf), "Valid");
    assert.equal(pebble.httpQuestions(), 3);
  });

  onNodeAndBun("for the address that a client comes to, by derper's -acme-ip-certs", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const flags = {
      certmode: "letsencrypt",
      hostname: "127.0.0.1",
      "acme-ip-certs": "true",
      "acme-profile": "shortlived",
      "http-port": `${place.httpPort}`,
    };
    await startAcmeRelay(t, { ...place, kind, pebble, flags });
    const leaf = await servedCertificate({ port: place.derpPort, name: "127.0.0.1", root: pebble.root });
    assert.equal(await pebble.certStatus(leaf), "Valid");
    // HTTP-01 first, as derper has no other.
    assert.deepEqual([pebble.orders(), pebble.httpQuestions()], [1, 3]);
  });

  onNodeAndBun(
    "with an external account, by derper's mode gcp, if the authority wants one",
    async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place, { eab: true });
      const { kid, key } = externalAccount;
      const binding = { "acme-eab-kid": kid, "acme-eab-key": key };
      const flags = { ...binding, certmode: "gcp", "acme-email": "who@derpkit.test" };
      const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
      await servedCertificate({ port: place.derpPort, name: knownName, root: pebble.root });
      assert.ok(pebble.log().includes(`Successful newAccount Binding with CA using kid "${kid}"`));
      assert.ok(!relay.log().includes(key), "the log holds no secret");
    },
  );

  onNodeAndBun("from an authority that calls 40 of 100 good nonces bad", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place, { badNonces: 40 });
    await startAcmeRelay(t, { ...place, kind, pebble });
    await servedCertificate({ port: place.derpPort, name: knownName, root: pebble.root });
    assert.deepEqual([pebble.accounts(), pebble.orders(), pebble.issued()], [1, 1, 1]);
  });
});

describe("a relay that gets no certificate says why", { concurrency: 4 }, () => {
  const refusals = [
    {
      title: "the external account is missing",
      eab: true,
      flags: {},
      words: /external ?account|acme-eab/i,
    },
    {
      title: "the key of the external account is wrong",
      eab: true,
      flags: {
        "acme-eab-kid": externalAccount.kid,
        "acme-eab-key": Buffer.alloc(32, "another").toString("base64url"),
        "acme-email": "who@derpkit.test",
      },
      words: /external ?account|acme-eab/i,
    },
    {
      title: "the authority has no such profile",
      flags: { "acme-profile": "longlived" },
      words: /profile.*longlived|longlived.*profile/i,
    },
    {
      title: "the authority refuses the name",
      flags: { hostname: `relay.${refusedDomain}` },
      words: /relay\.blocked\.example.*(policy|forbidden|refuse|reject)/i,
    },
  ] as const;
  for (const { title, flags, words, ...options } of refusals) {
    onNodeAndBun(title, async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place, options);
      const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
      await says(relay, words);
      // What it will do about it.
      await says(relay, /asked next at/);
      assert.deepEqual([pebble.orders(), pebble.issued()], [0, 0]);
      assert.ok(!relay.log().includes(externalAccount.key), "the log holds no secret");
      await assert.rejects(shakeHands({ port: place.derpPort, name: knownName, root: pebble.root }));
    });
  }

  onNodeAndBun("the name leads to an address where nobody listens", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    await pebble.setA(knownName, ["127.0.0.2"]);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble });
    await says(relay, /localhost.*(refused|connect)/i);
    await says(relay, /asked next at/);
    assert.equal(pebble.issued(), 0);
  });

  onNodeAndBun("the name leads to somebody else", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const [notBefore, notAfter] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
    const { keyPem, certificatePem } = createSelfSigned({ hostName: knownName, notBefore, notAfter });
    const somebody = createServer({ key: keyPem, cert: certificatePem });
    t.after(() => somebody.close());
    somebody.on("tlsClientError", () => {});
    await once(somebody.listen(place.derpPort, "127.0.0.2"), "listening");
    await pebble.setA(knownName, ["127.0.0.2"]);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble });
    await says(relay, /localhost.*(acme-tls\/1|tls-alpn-01|unauthorized)/i);
    await says(relay, /asked next at/);
    assert.equal(pebble.issued(), 0);
  });
});

const acmeIp = { certmode: "acme-ip", hostname: "127.0.0.1", "acme-profile": "shortlived" };
