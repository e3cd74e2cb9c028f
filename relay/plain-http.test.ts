import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { WebSocket } from "ws";
import type { RelayConfigInput } from "./config/schema.ts";
import { generatePrivateKey, type PrivateKey, publicKeyOf } from "./crypto/keys.ts";
import { FrameType } from "./protocol/frame.ts";
import { encodeClientInfo } from "./protocol/handshake.ts";
import { encodeSendPacket } from "./protocol/writer.ts";
import type { Relay } from "./relay.ts";
import { startBareRelay } from "./testing/running-relay.ts";

/** What a unit behind a proxy asks for: no -certmode, no port 443. */
const behindProxy = {
  certMode: "letsencrypt",
  httpPort: 80,
  stun: false,
} satisfies Partial<RelayConfigInput>;

async function open(t: TestContext, { derpPort }: Relay): Promise<Socket> {
  const socket = connect(derpPort, "127.0.0.1");
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function ask(t: TestContext, relay: Relay, head: string): Promise<string> {
  const socket = await open(t, relay);
  socket.write(`${head}\r\nHost: relay.example\r\nConnection: close\r\n\r\n`);
  return Buffer.concat(await socket.toArray()).toString("latin1");
}

function upgradeAndLogin(relay: Relay, key: PrivateKey): Buffer {
  const head =
    "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n";
  const info = { version: 2, canAckPings: true, isProber: false, appName: "" };
  const login = encodeClientInfo(key, publicKeyOf(key), relay.publicKey, randomBytes(24), info);
  return Buffer.concat([Buffer.from(head), login]);
}

test("behind a proxy the relay speaks plain HTTP: DERP, its answers, and no port 80 beside it", async (t) => {
  const { relay, folder } = await startBareRelay(t, behindProxy);
  assert.deepEqual([relay.tls, relay.httpPort], [false, undefined]);
  assert.deepEqual(await readdir(folder), ["derper.key"]);
  const [alice, bob] = [generatePrivateKey(), generatePrivateKey()];
  const receiver = await open(t, relay);
  receiver.write(upgradeAndLogin(relay, bob));
  const received = receiver.iterator();
  let bytes = Buffer.alloc(0);
  const until = async (length: number): Promise<void> => {
    while (bytes.length < length) {
      const { value } = (await received.next()) as { value: Buffer };
      bytes = Buffer.concat([bytes, value]);
    }
  };
  await until(45 + 58);
  const sender = await open(t, relay);
  const packet = encodeSendPacket(publicKeyOf(bob), Buffer.from("without TLS"));
  sender.write(Buffer.concat([upgradeAndLogin(relay, alice), packet]));
  await until(bytes.length + 5 + 32 + 11);
  assert.equal(bytes.subarray(-11).toString(), "without TLS");
  assert.equal(bytes.at(-(11 + 32 + 5)), FrameType.recvPacket);
  assert.match(await ask(t, relay, "GET /derp/probe HTTP/1.1"), /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(await ask(t, relay, "GET /derp HTTP/1.1"), /^HTTP\/1\.1 426 /);
});

test("without TLS no metric tells of TLS, and the rule of who may look is the same", async (t) => {
  const { relay } = await startBareRelay(t, behindProxy);
  const shown = await ask(t, relay, "GET /debug/varz HTTP/1.1");
  assert.match(shown, /^HTTP\/1\.1 200 OK\r\n[^]*\nderp_accepts 0\n/);
  assert.doesNotMatch(shown, /^(?:tls_listener|derper_tls)/m);
  assert.match(await ask(t, relay, "GET /debug/varz HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1"), / 403 /);
});

test("without TLS a CONNECT finds nothing", async (t) => {
  const { relay } = await startBareRelay(t, behindProxy);
  assert.match(await ask(t, relay, "CONNECT a.tailscale.com:443 HTTP/1.1"), / 404 [^]*404 page not found\n$/);
});

test("without TLS browsers come by ws", async (t) => {
  const { relay } = await startBareRelay(t, behindProxy);
  const browser = new WebSocket(`ws://127.0.0.1:${relay.derpPort}/derp`, "derp");
  t.after(() => browser.terminate());
  const [message] = (await once(browser, "message")) as [Buffer];
  assert.equal(message[0], FrameType.serverKey);
});

test("a name in the listen address becomes an address, of IPv4 if it has one", async (t) => {
  const { relay } = await startBareRelay(t, { ...behindProxy, listen: "localhost:0" });
  assert.match(await ask(t, relay, "GET /generate_204 HTTP/1.1"), / 204 /);
});
