import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Challenges } from "../certificates/challenges.ts";
import type { CertificateSource } from "../certificates/source.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { createPair, sourceOf } from "../testing/certificate-source.ts";
import { relayPublic } from "../testing/vectors.ts";
import { createTlsListener, type MainListener } from "./main-listener.ts";
import { TlsCounters } from "./tls-counters.ts";

interface Running {
  readonly listener: MainListener;
  readonly port: number;
  /** Connections that were handed on. */
  readonly served: Duplex[];
}

/** Starts a listener as the relay has one, which says back what it is told. */
async function listen(
  t: TestContext,
  source: CertificateSource,
  before: (socket: Socket) => void = () => {},
): Promise<Running> {
  const options = { source, accepts: () => true, counters: new TlsCounters() };
  const listener = createTlsListener(options, relayPublic);
  const { server } = listener;
  const [sockets, served]: [Socket[], Duplex[]] = [[], []];
  server.on("connection", (socket: Socket) => sockets.push(socket));
  server.prependListener("connection", before);
  listener.serve((socket) => {
    served.push(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  t.after(() => {
    listener[Symbol.dispose]();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { listener, port: (server.address() as AddressInfo).port, served };
}

/** Does a handshake. @throws Error of TLS */
async function shake(t: TestContext, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  t.after(() => socket.destroy());
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}

/** The fingerprint of the certificate that a client is shown. */
async function shown(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<string> {
  return (await shake(t, port, { servername: "", ...options })).getPeerCertificate().fingerprint256;
}

async function says(socket: Duplex, text: string): Promise<void> {
  const answered = once(socket, "data");
  socket.write(text);
  assert.equal(String((await answered)[0]), text);
}

/** As OpenSSL and BoringSSL say it, for which alone TLS 1.3 without a certificate is an internal error. */
const refused = /alert.(?:handshake.failure|internal.error)/i;
const noProtocol = /alert.no.application.protocol/i;

const fingerprint = ({ chain }: CertificatePair): string => new X509Certificate(chain).fingerprint256;

const versions = ["TLSv1.2", "TLSv1.3"] as const;
const only = (version: (typeof versions)[number]): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
});
const [one, other, third] = [createPair("one.example"), createPair("other.example"), createPair("192.0.2.1")];

for (const [how, challenges] of [
  ["TLS that listens itself", undefined],
  ["TLS behind a front", new Challenges()],
] as const) {
  test(`${how}: 39. each name gets its certificate, and others are refused before one is shown`, async (t) => {
    const { port } = await listen(t, sourceOf({ "one.example": one, "Other.example": other }, challenges));
    for (const version of versions) {
      const limits = only(version);
      assert.equal(await shown(t, port, { ...limits, servername: "one.example" }), fingerprint(one));
      assert.equal(await shown(t, port, { ...limits, servername: "Other.example" }), fingerprint(other));
      for (const servername of ["", "One.example", "other.example", "third.example"])
        await assert.rejects(shown(t, port, { ...limits, servername }), refused, `${version} ${servername}`);
    }
  });

  test(`${how}: 39. who names another host is not shown the certificate of those who name none`, async (t) => {
    const { port } = await listen(t, sourceOf({ "": third, "one.example": one }, challenges));
    for (const version of versions) {
      assert.equal(await shown(t, port, only(version)), fingerprint(third));
      assert.equal(await shown(t, port, { ...only(version), servername: "one.example" }), fingerprint(one));
      await assert.rejects(shown(t, port, { ...only(version), servername: "other.example" }));
    }
  });

  test(`${how}: a renewed certificate is shown from then on, and no connection is dropped`, async (t) => {
    const certificates = { "": third, "one.example": one };
    const source = sourceOf(certificates, challenges);
    const { port } = await listen(t, source);
    const servername = "one.example";
    const opening = Array.from({ length: 200 }, () => shake(t, port, { servername }));
    const sockets = await Promise.all(opening);
    await Promise.all(sockets.map((socket, at) => says(socket, `before ${at}`)));
    Object.assign(certificates, { "": other, "one.example": third });
    source.tell();
    assert.equal(await shown(t, port, { servername }), fingerprint(third));
    assert.equal(await shown(t, port), fingerprint(other));
    await Promise.all(sockets.map((socket, at) => says(socket, `after ${at}`)));
  });

  test(`${how}: a handshake waits for the first certificate, and others do not wait with it`, async (t) => {
    const { promise, resolve } = Promise.withResolvers<CertificatePair | undefined>();
    const asked = Promise.withResolvers<void>();
    const late = (): Promise<CertificatePair | undefined> => {
      asked.resolve();
      return promise;
    };
    const { port } = await listen(t, sourceOf({ "late.example": late, "one.example": one }, challenges));
    const waiting = shown(t, port, { servername: "late.example" });
    await asked.promise;
    assert.equal(await shown(t, port, { servername: "one.example" }), fingerprint(one));
    resolve(other);
    assert.equal(await waiting, fingerprint(other));
  });

  test(`${how}: a certificate that does not come after all refuses who waited`, async (t) => {
    const none = (): Promise<undefined> => Promise.resolve(undefined);
    const { port } = await listen(t, sourceOf({ "late.example": none }, challenges));
    for (const version of versions)
      await assert.rejects(shown(t, port, { ...only(version), servername: "late.example" }), refused);
  });

  test(`${how}: who leaves while a certificate is on its way leaves nothing behind`, async (t) => {
    const { promise, resolve } = Promise.withResolvers<CertificatePair | undefined>();
    const source = sourceOf({ "late.example": () => promise, "one.example": one }, challenges);
    const accepted = Promise.withResolvers<Socket>();
    const { port, served } = await listen(t, source, accepted.resolve);
    const client = connect({ host: "127.0.0.1", port, servername: "late.example" });
    client.on("error", () => {});
    const socket = await accepted.promise;
    const gone = new Promise((closed) => socket.on("close", closed));
    client.destroy();
    await gone;
    resolve(other);
    await says(await shake(t, port, { servername: "one.example" }), "who stays");
    assert.equal(served.length, 1);
  });

  test(`${how}: 36. acme-tls/1 without a challenge is refused by its alert`, async (t) => {
    const { port, served } = await listen(t, sourceOf({ "one.example": one }, challenges));
    for (const version of versions) {
      const options = { ...only(version), servername: "one.example", ALPNProtocols: ["acme-tls/1"] };
      await assert.rejects(shake(t, port, options), noProtocol);
      const both = { ...options, ALPNProtocols: ["acme-tls/1", "http/1.1"] };
      const socket = await shake(t, port, both);
      assert.equal(socket.alpnProtocol, "http/1.1");
      await says(socket, version);
    }
    assert.equal(served.length, versions.length);
  });

  test(`${how}: a connection that a limit has closed is left alone`, async (t) => {
    const seen: Socket[] = [];
    const { port, served } = await listen(t, sourceOf({ "one.example": one }, challenges), (socket) => {
      seen.push(socket);
      socket.destroy();
    });
    await assert.rejects(shown(t, port, { servername: "one.example" }));
    assert.deepEqual([seen.length, served.length], [1, 0]);
    assert.equal(seen[0]?.bytesRead, 0);
  });

  test(`${how}: who speaks no TLS is closed`, async (t) => {
    const { port } = await listen(t, sourceOf({ "one.example": one }, challenges));
    const stranger = connectTcp({ host: "127.0.0.1", port });
    stranger.on("error", () => {});
    stranger.resume().write("GET / HTTP/1.1\r\n\r\n");
    await new Promise((closed) => stranger.on("close", closed));
  });
}

test("those who name nobody get the certificate of the address that they came to", async (t) => {
  const byAddress: Record<string, CertificatePair> = { "127.0.0.1": one, "127.0.0.2": other };
  const find = ({ localAddress = "" }): CertificatePair | undefined => byAddress[localAddress];
  const { port } = await listen(t, sourceOf({ "": find }, new Challenges()));
  for (const [host, pair] of Object.entries(byAddress))
    assert.equal(await shown(t, port, { host }), fingerprint(pair));
  await assert.rejects(shown(t, port, { host: "127.0.0.3" }), refused);
});

test("an authority is shown the answer to its challenge, and its connection goes no further", async (t) => {
  const challenges = new Challenges();
  const { port, served } = await listen(t, sourceOf({ "one.example": one }, challenges));
  const acme = { servername: "One.example", ALPNProtocols: ["acme-tls/1"] };
  const offer = challenges.offerTls("one.example", other);
  for (const version of versions) {
    const socket = await shake(t, port, { ...acme, ...only(version) });
    const proof = [socket.alpnProtocol, socket.getPeerCertificate().fingerprint256];
    assert.deepEqual(proof, ["acme-tls/1", fingerprint(other)]);
    await once(socket.resume(), "close");
    // RFC 8737, section 3: this protocol alone is the authority's.
    const client = { ...acme, ...only(version), servername: "one.example" };
    const both = await shake(t, port, { ...client, ALPNProtocols: ["acme-tls/1", "http/1.1"] });
    assert.equal(both.getPeerCertificate().fingerprint256, fingerprint(one));
    await says(both, version);
  }
  await assert.rejects(shake(t, port, { ...acme, servername: "other.example" }), noProtocol);
  offer[Symbol.dispose]();
  await assert.rejects(shake(t, port, acme), noProtocol);
  assert.equal(served.length, versions.length);
});
