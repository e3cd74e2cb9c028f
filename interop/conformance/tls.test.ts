/** Statements 34 to 40, 42 and 43: what TLS shows, and to whom. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { type ConnectionOptions, type TLSSocket } from "node:tls";
import { connectRelay } from "../../relay/client/connection.ts";
import { createTrust } from "../../relay/client/transport.ts";
import { certificatePin } from "../../relay/crypto/self-signed.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { openTls } from "./http.ts";
import { refusal, type RelayUnderTest, startRelayUnderTest } from "./relay-under-test.ts";
import { ownFiles, perRelay, statement } from "./suite.ts";

/** DER of every certificate that a relay sends, in its order. */
async function shown(relay: RelayUnderTest, options: ConnectionOptions = {}): Promise<Buffer[]> {
  const socket = await openTls(relay, options);
  const certificates = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) {
    certificates.push(next.raw);
  }
  socket.destroy();
  return certificates;
}

/** Tells whether a handshake succeeds and its connection is of use. TLS 1.3 refuses after the client has finished. */
async function isServed(relay: RelayUnderTest, options: ConnectionOptions): Promise<boolean> {
  let socket: TLSSocket | undefined;
  try {
    socket = await openTls(relay, options);
    const answered = once(socket, "data");
    socket.write("GET /generate_204 HTTP/1.1\r\nHost: a\r\n\r\n");
    const closed = once(socket, "close").then(() => []);
    return (await Promise.race([answered, closed])).length > 0;
  } catch {
    return false;
  } finally {
    socket?.destroy();
  }
}

statement(
  "34. Given TLS 1.3, when the chain is inspected, then the last certificate is v3, serial 2, CN `derpkey`+hex, exactly one extension (basicConstraints), Ed25519.",
  async ({ relay }) => {
    const certificates = await shown(relay);
    assert.equal(certificates.length, 2);
    assert.deepEqual(certificates[0], relay.leaf);
    const meta = new X509Certificate(certificates[1] ?? "");
    const name = `CN=derpkey${relay.relayKey.toString("hex")}`;
    assert.deepEqual(
      [meta.serialNumber, meta.subject, meta.issuer, meta.ca, meta.publicKey.asymmetricKeyType],
      ["02", name, name, false, "ed25519"],
    );
    assert.ok(meta.verify(meta.publicKey), "it is self-signed");
    assert.deepEqual(structure(meta.raw), structure(referenceShape(relay.relayKey)));
    const days = (meta.validToDate.getTime() - meta.validFromDate.getTime()) / 86_400_000;
    assert.ok(Math.abs(days - 60) < 0.01, `valid for ${days} days`);
  },
);

/** The lengths and tags of what does not change from one meta certificate to the next, 359 bytes in all. */
function structure(der: Buffer): unknown {
  const extensions = Buffer.from("a310300e300c0603551d130101ff04023000", "hex");
  return {
    length: der.length,
    version: der.includes(Buffer.from("a003020102020102", "hex")),
    extensions: der.includes(extensions),
  };
}

function referenceShape(relayKey: Buffer): Buffer {
  const head = Buffer.from("a003020102020102a310300e300c0603551d130101ff04023000", "hex");
  return Buffer.concat([head, relayKey, Buffer.alloc(359 - head.length - relayKey.length)]);
}

statement("35. Given many handshakes, then the chain never grows and stays the same.", async ({ relay }) => {
  const first = await shown(relay);
  const all = await Promise.all(Array.from({ length: 30 }, () => shown(relay)));
  for (const certificates of all) assert.deepEqual(certificates, first);
});

statement("36. Given TLS 1.1, then refused; 1.2 and 1.3 accepted.", async ({ relay }) => {
  // OpenSSL itself speaks TLS 1.1 at its lowest security level only.
  const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  assert.equal(await isServed(relay, old), false);
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    assert.equal(await isServed(relay, { minVersion: version, maxVersion: version }), true);
  }
});

statement(
  "36. Given a hello without ALPN, then accepted; ALPN `h2,http/1.1` gives `http/1.1`.",
  async ({ relay, differs }) => {
    const negotiated = async (protocols: string[]): Promise<string | false | null> => {
      const socket = await openTls(relay, { ALPNProtocols: protocols });
      socket.destroy();
      return socket.alpnProtocol;
    };
    assert.equal(await isServed(relay, {}), true);
    assert.equal(await negotiated(["h2", "http/1.1"]), "http/1.1");
    assert.equal(await negotiated(["http/1.1"]), "http/1.1");
    const alone = await negotiated(["h2"]).catch(() => "refused");
    assert.equal(alone, differs("Q5", { derper: "h2", ours: "refused" }));
  },
);

statement(
  "37. Given a PEM pair `<IP>.crt/.key` in manual mode and hostname = IP, when a client sends no SNI, then the certificate is served.",
  async ({ relay }) => {
    assert.deepEqual((await shown(relay, { servername: "" }))[0], relay.leaf);
    assert.deepEqual((await shown(relay, { servername: "any.example" }))[0], relay.leaf);
  },
  { relay: { hostName: "127.0.0.1" } },
);

perRelay(
  "38. Given manual mode, hostname `127.0.0.1`, empty certdir, then a self-signed pair is created and a client pinning `sha256-raw:<sha256 of leaf DER>` connects.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t, "127.0.0.1");
    const certs = path.join(files.folder, "certs");
    await rm(certs, { recursive: true });
    const relay = await startRelayUnderTest(kind, files);
    t.after(() => relay.stop());
    const [crt, key] = ["127.0.0.1.crt", "127.0.0.1.key"].map((file) => path.join(certs, file));
    const leaf = new X509Certificate(await readFile(crt ?? ""));
    assert.deepEqual((await shown(relay, { servername: "" }))[0], leaf.raw);
    assert.equal(leaf.subject, "CN=127.0.0.1");
    assert.equal(leaf.subjectAltName, "IP Address:127.0.0.1");
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.match(await readFile(key ?? "", "utf8"), /^-----BEGIN EC PRIVATE KEY-----\n/);
    const modes = await Promise.all(
      [certs, crt ?? "", key ?? ""].map(async (file) => (await stat(file)).mode & 0o777),
    );
    assert.deepEqual(modes, [0o700, 0o644, 0o600]);
    await using client = await connectRelay({
      endpoint: { address: "127.0.0.1", port: relay.derpPort },
      identity: { hostName: "127.0.0.1", certName: certificatePin(leaf.raw) },
      trust: createTrust(),
      privateKey: generatePrivateKey(),
      fastStart: true,
      signal: t.signal,
    });
    assert.deepEqual(client.facts.serverKey, relay.relayKey);
  },
);

perRelay("38. Given that pair, then it is valid for a year.", {}, async (t, kind) => {
  const files = await ownFiles(t, "127.0.0.1");
  await rm(path.join(files.folder, "certs"), { recursive: true });
  const relay = await startRelayUnderTest(kind, files);
  t.after(() => relay.stop());
  const { validFromDate, validToDate } = new X509Certificate((await shown(relay))[0] ?? "");
  const days = (validToDate.getTime() - validFromDate.getTime()) / 86_400_000;
  assert.ok(days > 364 && days < 367, `${days} days`);
});

statement("39. Given manual mode with a DNS hostname, then SNI mismatch is refused.", async ({ relay }) => {
  const versions = ["TLSv1.2", "TLSv1.3"] as const;
  for (const version of versions) {
    const only = { minVersion: version, maxVersion: version };
    assert.equal(await isServed(relay, only), true);
    for (const servername of ["other.example", "", `x.${relay.hostName}`]) {
      assert.equal(await isServed(relay, { ...only, servername }), false, `${version} ${servername}`);
    }
  }
});

statement("39. Given SNI in upper case, then refused as any other name.", async ({ relay }) =>
  assert.equal(await isServed(relay, { servername: relay.hostName.toUpperCase() }), false),
);

statement(
  "39. Given no SNI, then the handshake itself fails, before a certificate is shown.",
  async ({ relay }) => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const only = { minVersion: version, maxVersion: version };
      for (const servername of ["", "other.example"])
        await assert.rejects(openTls(relay, { ...only, servername }), /alert/, `${version} ${servername}`);
    }
  },
);

perRelay(
  "39. Given a certificate not valid for the hostname, then it is a start-up error.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const [right, wrong] = [files.hostName, "other.example"].map((name) =>
      path.join(files.folder, "certs", name),
    );
    for (const end of [".crt", ".key"]) await rename(`${right}${end}`, `${wrong}${end}`);
    assert.equal((await refusal(kind, { ...files, hostName: "other.example" })).status, 1);
    assert.equal((await refusal(kind, files)).status, 1, "no certificate at all");
  },
);

perRelay("40. Given hostname `2001:db8::1`, then file names use `2001db81`.", {}, async (t, kind) => {
  const files = await ownFiles(t, "2001:db8::1");
  const relay = await startRelayUnderTest(kind, files);
  t.after(() => relay.stop());
  await stat(path.join(files.folder, "certs", "2001db81.crt"));
  assert.deepEqual((await shown(relay, { servername: "" }))[0], files.leaf);
});
