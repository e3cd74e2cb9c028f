import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { connect, createServer } from "node:tls";
import { Challenges } from "../certificates/challenges.ts";
import { createPair, type Shown, sourceOf } from "../testing/certificate-source.ts";
import { relayPublic } from "../testing/vectors.ts";
import { createTlsFront } from "./tls-front.ts";
import { createPerPair, tlsOptions } from "./tls-identity.ts";

async function listen(t: TestContext, shown: Shown, handshakeMs: number): Promise<number> {
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
