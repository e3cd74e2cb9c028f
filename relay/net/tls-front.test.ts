import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { connect, createServer } from "node:tls";
import { Challenges } from "../certificates/challenges.ts";
import { createPair, type Shown, sourceOf } from "../testing/certificate-source.ts";
import { relayPublic } from "../testing/vectors.ts";
import { createTlsFront } from "./tls-front.ts";
import { createPerPair, tlsOptions } from "./tls-identity.ts";

async function listen(
  t: TestContext,
  shown: Shown,
  handshakeMs: number,
  accepted: (socket: Socket) => void = () => {},
): Promise<number> {
  const servers = createPerPair((pair) => createServer(tlsOptions(pair, relayPublic, new Date())));
  const front = createTlsFront({
    source: sourceOf(shown),
    challenges: new Challenges(),
    servers,
    handshakeMs,
  });
  front.open();
  const sockets: Socket[] = [];
  front.server.on("connection", (socket) => sockets.push(socket));
  front.server.on("connection", accepted);
  front.server.listen(0, "127.0.0.1");
  await once(front.server, "listening");
  t.after(() => {
    front.server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (front.server.address() as AddressInfo).port;
}

/** Opens a connection that the front is to close. */
async function isClosed(port: number, use: (client: Socket) => void): Promise<void> {
  const client = connectTcp({ host: "127.0.0.1", port });
  client.on("error", () => {});
  use(client.resume());
  await new Promise((resolve) => client.on("close", resolve));
}

test("whoever says nothing, or half a hello, is closed when the time is over", async (t) => {
  const port = await listen(t, {}, 1);
  for (const bytes of [Buffer.alloc(0), Buffer.of(22, 3, 1, 0, 200, 1, 0)])
    await isClosed(port, (client) => client.write(bytes));
});

test("a certificate is waited for no longer than that", async (t) => {
  const port = await listen(t, { "late.example": () => new Promise(() => {}) }, 1);
  const client = connect({ host: "127.0.0.1", port, servername: "late.example" });
  await assert.rejects(once(client, "secureConnect"), { code: "ECONNRESET" });
});

test("a client that ends before its hello is whole is let go", async (t) => {
  const port = await listen(t, { "one.example": createPair("one.example") }, 60_000);
  await isClosed(port, (client) => client.end(Buffer.of(22, 3)));
});

test("a hello may come in pieces, each of which is read before the next is sent", async (t) => {
  const pair = createPair("one.example");
  const reading = Promise.withResolvers<Socket>();
  const port = await listen(t, { "one.example": pair }, 60_000, reading.resolve);
  const wire = connectTcp({ host: "127.0.0.1", port, noDelay: true });
  t.after(() => wire.destroy());
  const server = await reading.promise;
  let sent = 0;
  const send = async (bytes: Buffer): Promise<void> => {
    // Of the hello, the first to be written, the first bytes come alone: within the headers of record and message.
    const cuts = sent === 0 ? [1, 3, 6, 200] : [];
    for (const [at, cut] of [0, ...cuts].entries()) {
      const piece = bytes.subarray(cut, cuts[at]);
      wire.write(piece);
      sent += piece.length;
      while (at < cuts.length && server.bytesRead < sent) await new Promise(setImmediate);
    }
  };
  const slow = new Duplex({
    read() {},
    write: (bytes: Buffer, _encoding, done) => {
      void send(bytes).finally(done);
    },
  });
  wire.on("data", (bytes: Buffer) => slow.push(bytes));
  const client = connect({ socket: slow, servername: "one.example", rejectUnauthorized: false });
  client.on("error", () => {});
  await new Promise((secure) => client.once("secureConnect", secure));
  assert.equal(client.getPeerCertificate().fingerprint256, new X509Certificate(pair.chain).fingerprint256);
});
