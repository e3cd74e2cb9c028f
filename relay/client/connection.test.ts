import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { createSelfSigned } from "../crypto/self-signed.ts";
import { joinRelay, startTestRelay } from "../testing/running-relay.ts";
import { RelayFailure } from "./failure.ts";
import { createTrust, openTransport } from "./transport.ts";

const trust = createTrust();

/** A server on a free port of loopback that stops with the test. */
async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

for (const fastStart of [false, true]) {
  test(`${fastStart ? "with" : "without"} fast start a client logs in, and packets pass both ways`, async (t) => {
    const relay = await startTestRelay(t);
    const alice = await joinRelay(t, relay, { fastStart });
    const bob = await joinRelay(t, relay, { fastStart });
    assert.deepEqual(alice.facts.serverKey, relay.relay.publicKey);
    assert.deepEqual(alice.facts.headerKey, fastStart ? undefined : relay.relay.publicKey);
    assert.equal(alice.facts.serverInfoFirst, true);
    assert.equal(alice.facts.serverInfo.version, 2);
    for (const packet of [Buffer.alloc(0), randomBytes(65_536)]) {
      alice.send(bob.key, packet);
      bob.send(alice.key, packet);
      assert.deepEqual(await bob.receive(t.signal), { type: "packet", source: alice.key, packet });
      assert.deepEqual(await alice.receive(t.signal), { type: "packet", source: bob.key, packet });
    }
  });
}

test("a client hears that a peer from which it received is gone", async (t) => {
  const relay = await startTestRelay(t);
  const alice = await joinRelay(t, relay);
  const bob = await joinRelay(t, relay);
  alice.send(bob.key, Buffer.from("hello"));
  await bob.receive(t.signal);
  await alice[Symbol.asyncDispose]();
  assert.deepEqual(await bob.receive(t.signal), { type: "peerGone", key: alice.key, reason: "disconnected" });
});

test("a ping comes back, several at once too", async (t) => {
  const alice = await joinRelay(t, await startTestRelay(t));
  await alice.ping(t.signal);
  await Promise.any([alice.ping(t.signal), alice.ping(t.signal)]);
});

test("a client that reads late gets every packet in order, and the relay is held back meanwhile", async (t) => {
  const relay = await startTestRelay(t);
  const alice = await joinRelay(t, relay);
  const bob = await joinRelay(t, relay);
  const count = 500;
  for (let index = 0; index < count; index++) alice.send(bob.key, Buffer.of(index >> 8, index & 0xff));
  await alice.ping(t.signal);
  for (let index = 0; index < count; index++) {
    const received = await bob.receive(t.signal);
    assert.equal(received.type === "packet" ? received.packet.readUInt16BE() : -1, index);
  }
});

test("when the relay stops, whoever waits for a frame is told", async (t) => {
  const running = await startTestRelay(t);
  const alice = await joinRelay(t, running);
  const waiting = assert.rejects(alice.receive(t.signal), /^RelayFailure: /);
  await running.relay[Symbol.asyncDispose]();
  await waiting;
});

test("waiting ends with the signal, and the connection goes on", async (t) => {
  const alice = await joinRelay(t, await startTestRelay(t));
  await assert.rejects(alice.receive(AbortSignal.abort()), /gave up waiting for a frame/);
  await alice.ping(t.signal);
});

test("a tap sees the bytes of the TCP socket: TLS records in both directions", async (t) => {
  const relay = await startTestRelay(t);
  const seen = { sent: Buffer.alloc(0), received: Buffer.alloc(0) };
  const alice = await joinRelay(t, relay, {
    tap: (direction, bytes) => {
      seen[direction] = Buffer.concat([seen[direction], bytes]);
    },
  });
  await alice.ping(t.signal);
  const handshake = 22;
  assert.equal(seen.sent[0], handshake);
  assert.equal(seen.received[0], handshake);
  assert.equal(seen.sent.includes("GET /derp"), false);
});

test("every certificate that the server sends is listed in its order, whoever issued it", async (t) => {
  const dates = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) };
  const [leaf, ...strays] = ["relay.example", "a.example", "b.example"].map((hostName) =>
    createSelfSigned({ hostName, ...dates }),
  );
  assert.ok(leaf);
  const cert = [leaf, ...strays, leaf].map(({ certificatePem }) => certificatePem).join("");
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const tls = { cert, key: leaf.keyPem, minVersion: version, maxVersion: version };
    const port = await listen(t, createTlsServer(tls));
    await using transport = await openTransport({
      endpoint: { address: "127.0.0.1", port },
      identity: { hostName: "relay.example", certName: "" },
      trust: createTrust([leaf.certificatePem]),
      signal: t.signal,
    });
    const pems = transport.certificates.map((der) => der.toString("base64"));
    const bare = cert.replaceAll(/-----(?:BEGIN|END) CERTIFICATE-----|\n/g, "");
    assert.equal(pems.join(""), bare);
    assert.equal(transport.tlsVersion, version);
  }
});

test("whoever is not the relay of the map gets no byte beyond the handshake", async (t) => {
  const relay = await startTestRelay(t);
  const pin = `sha256-raw:${"0".repeat(64)}`;
  const records: Buffer[] = [];
  const connecting = joinRelay(
    t,
    { ...relay, pin },
    {
      tap: (direction, bytes) => {
        if (direction === "sent") records.push(Buffer.from(bytes));
      },
    },
  );
  await assert.rejects(connecting, /not the pinned one/);
  // ClientHello, and the end of the handshake with its fixed length; an upgrade request would be a third record.
  assert.deepEqual(recordTypes(Buffer.concat(records)), [22, 20, 23]);
});

test("a relay that is away, silent, or no TLS server ends in a sentence that says so", async (t) => {
  const identity = { hostName: "relay.example", certName: "" };
  const connect = (port: number, signal = t.signal): Promise<unknown> =>
    openTransport({ endpoint: { address: "127.0.0.1", port }, identity, trust, signal });
  const closed = createServer();
  const closedPort = await listen(t, closed);
  closed.close();
  await once(closed, "close");
  await assert.rejects(connect(closedPort), /cannot connect to 127\.0\.0\.1:\d+: connection refused/);

  const silent = await listen(
    t,
    createServer((socket) => t.after(() => socket.destroy())),
  );
  await assert.rejects(connect(silent, AbortSignal.timeout(50)), /gave up waiting for the TLS handshake/);
  const plain = await listen(
    t,
    createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  );
  await assert.rejects(connect(plain), /does not speak TLS/);
  const curt = await listen(
    t,
    createServer((socket) => socket.destroy()),
  );
  await assert.rejects(connect(curt), RelayFailure);
});

/** The content types of the TLS records in a stream. */
function recordTypes(stream: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at < stream.length; at += 5 + stream.readUInt16BE(at + 3))
    types.push(stream.readUInt8(at));
  return types;
}
