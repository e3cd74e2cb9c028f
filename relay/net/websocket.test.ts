import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent } from "node:https";
import { test, type TestContext } from "node:test";
import { type ClientOptions, WebSocket } from "ws";
import { generatePrivateKey, type NodeKey, type PrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { FrameType, keyLength } from "../protocol/frame.ts";
import { encodeClientInfo } from "../protocol/handshake.ts";
import { FrameReader, Verdict } from "../protocol/reader.ts";
import { encodeSendPacket } from "../protocol/writer.ts";
import { joinRelay, type RunningRelay, startTestRelay } from "../testing/running-relay.ts";

/** A browser's client, as far as DERP is concerned. */
class Browser {
  readonly webSocket: WebSocket;
  readonly privateKey: PrivateKey = generatePrivateKey();
  readonly key: NodeKey = publicKeyOf(this.privateKey);
  /** Lengths of the messages that came. */
  readonly messages: number[] = [];
  readonly frames: { readonly type: number; readonly payload: Buffer }[] = [];
  readonly closed: Promise<number>;
  readonly #reader = new FrameReader();

  constructor(
    { relay, hostName }: RunningRelay,
    options: ClientOptions = {},
    protocols: string | string[] = "derp",
  ) {
    this.webSocket = new WebSocket(`wss://127.0.0.1:${relay.derpPort}/derp`, protocols, {
      agent: new Agent({ servername: hostName, rejectUnauthorized: false }),
      ...options,
    });
    this.webSocket.on("message", (data: Buffer) => this.#receive(data));
    this.webSocket.on("error", () => {});
    this.closed = new Promise((resolve) => this.webSocket.on("close", resolve));
  }

  /** Waits until so many frames have come. */
  async frame(count: number): Promise<void> {
    while (this.frames.length < count) await once(this.webSocket, "message");
  }

  login(relay: RunningRelay): void {
    this.webSocket.send(clientInfo(relay, this.privateKey));
  }

  #receive(data: Buffer): void {
    this.messages.push(data.length);
    this.#reader.push(data, {
      header: () => Verdict.deliver,
      frame: (type, buffer, start, end) => {
        this.frames.push({ type, payload: Buffer.from(buffer.subarray(start, end)) });
        return true;
      },
    });
  }
}

const clientInfo = ({ relay }: RunningRelay, key: PrivateKey): Buffer =>
  encodeClientInfo(key, publicKeyOf(key), relay.publicKey, randomBytes(24), {
    version: 2,
    canAckPings: true,
    isProber: false,
    appName: "",
  });

async function joined(t: TestContext, relay: RunningRelay, options?: ClientOptions): Promise<Browser> {
  const browser = new Browser(relay, options);
  t.after(() => browser.webSocket.terminate());
  await browser.frame(1);
  browser.login(relay);
  await browser.frame(2);
  return browser;
}

test("18, 19. a WebSocket with the subprotocol derp begins with ServerKey, without compression", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  const browser = await joined(t, relay, { perMessageDeflate: true });
  assert.deepEqual([browser.webSocket.protocol, browser.webSocket.extensions], ["derp", ""]);
  assert.deepEqual(
    browser.frames.map(({ type }) => type),
    [FrameType.serverKey, FrameType.serverInfo],
  );
  assert.equal(browser.messages[0], 45);
  assert.equal(relay.relay.core.counters.webSocketAccepts, 1);
});

test("20. any Origin is accepted", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  for (const origin of ["https://elsewhere.example", "null", "http://localhost:1"])
    await joined(t, relay, { origin });
});

test("21, 23. packets pass between a browser and a native client, in messages of at most 32 768 bytes", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  const browser = await joined(t, relay);
  const native = await joinRelay(t, relay);
  const packet = randomBytes(65_536);
  native.send(browser.key, packet);
  await browser.frame(3);
  assert.deepEqual(browser.frames[2]?.payload.subarray(keyLength), packet);
  assert.ok(Math.max(...browser.messages) <= 32_768);
  const frame = encodeSendPacket(native.key, packet);
  for (let at = 0; at < frame.length; at += 32_768) browser.webSocket.send(frame.subarray(at, at + 32_768));
  const received = await native.receive(t.signal);
  assert.deepEqual(received, { type: "packet", source: browser.key, packet });
});

test("22. frames split and merged over messages are handled", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  const browser = new Browser(relay);
  t.after(() => browser.webSocket.terminate());
  await browser.frame(1);
  const stream = Buffer.concat([
    clientInfo(relay, browser.privateKey),
    encodeSendPacket(browser.key, Buffer.from("one")),
    encodeSendPacket(browser.key, Buffer.from("two")),
  ]);
  for (let at = 0; at < stream.length; at += 50) browser.webSocket.send(stream.subarray(at, at + 50));
  await browser.frame(4);
  assert.deepEqual(
    browser.frames.slice(2).map(({ payload }) => payload.toString("latin1", keyLength)),
    ["one", "two"],
  );
});

test("22. a text message closes with 1003, one that is too long with 1009, and a wrong subprotocol with 1008", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  const text = await joined(t, relay);
  text.webSocket.send("hello");
  assert.equal(await text.closed, 1_003);
  const long = await joined(t, relay);
  long.webSocket.send(Buffer.alloc(32_769));
  assert.equal(await long.closed, 1_009);
  const other = new Browser(relay, {}, ["derpy"]);
  assert.equal(await other.closed, 1_006, "a browser refuses an answer without its subprotocol by itself");
});

test("a violation of the protocol closes a WebSocket with 1000, and leaves nobody behind", async (t) => {
  const relay = await startTestRelay(t, { stun: false });
  const browser = await joined(t, relay);
  browser.webSocket.send(Buffer.from("0400000001ff", "hex"));
  assert.equal(await browser.closed, 1_000);
  assert.equal(relay.relay.core.size, 0);
});
