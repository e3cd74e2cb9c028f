/** Statements 18 to 23: DERP over WebSocket, as browsers speak it. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { generatePrivateKey, type PrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { FrameType, headerLength, keyLength, maxPacket } from "../../relay/protocol/frame.ts";
import { encodeSendPacket } from "../../relay/protocol/writer.ts";
import {
  type Client,
  clientInfo,
  type Connection,
  type Frame,
  join,
  type Place,
  say,
  usualInfo,
} from "./client.ts";
import { type Answer, get, headerOf, readAnswer } from "./http.ts";
import { statement } from "./suite.ts";

const Opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface Message {
  readonly opcode: number;
  readonly data: Buffer;
}

/** A browser's side of a WebSocket, down to its frames. */
class WebSocketClient {
  readonly connection: Connection;
  readonly answer: Answer;
  readonly key: Buffer;
  readonly privateKey: PrivateKey;
  /** DERP bytes that have come in messages and are not read yet. */
  #pending: Buffer = Buffer.alloc(0);
  /** Length of each message that has come. */
  readonly lengths: number[] = [];

  constructor(connection: Connection, answer: Answer, privateKey: PrivateKey) {
    this.connection = connection;
    this.answer = answer;
    this.privateKey = privateKey;
    this.key = publicKeyOf(privateKey);
  }

  /** Sends one message, masked as RFC 6455 (5.3) wants it. */
  message(opcode: number, data: Uint8Array): void {
    const long = data.length > 125;
    const head = Buffer.alloc(long ? 10 : 2);
    head.writeUInt8(0x80 | opcode, 0);
    head.writeUInt8(0x80 | (long ? 127 : data.length), 1);
    if (long) head.writeBigUInt64BE(BigInt(data.length), 2);
    const mask = randomBytes(4);
    const masked = Buffer.from(data.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
    this.connection.write(Buffer.concat([head, mask, masked]));
  }

  async nextMessage(): Promise<Message> {
    const { incoming } = this.connection;
    const [first = 0, second = 0] = await incoming.take(2, "a WebSocket frame");
    assert.equal(first & 0xf0, 0x80, "one whole frame per message, without extensions");
    assert.equal(second & 0x80, 0, "a server does not mask");
    const length = await this.#length(second);
    this.lengths.push(length);
    return { opcode: first & 0x0f, data: await incoming.take(length) };
  }

  async #length(second: number): Promise<number> {
    const { incoming } = this.connection;
    if (second === 126) return (await incoming.take(2)).readUInt16BE();
    return second === 127 ? Number((await incoming.take(8)).readBigUInt64BE()) : second;
  }

  /** The next DERP frame, wherever messages begin and end. */
  async next(): Promise<Frame> {
    const header = await this.#take(headerLength);
    return { type: header.readUInt8(0), payload: await this.#take(header.readUInt32BE(1)) };
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#pending.length < length) {
      const { opcode, data } = await this.nextMessage();
      assert.equal(opcode, Opcode.binary);
      this.#pending = Buffer.concat([this.#pending, data]);
    }
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }
}

const nonce = "dGhlIHNhbXBsZSBub25jZQ==";

async function open(place: Place, headers: readonly string[] = []): Promise<WebSocketClient> {
  const request = get("/derp", [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${nonce}`,
    "Sec-WebSocket-Protocol: derp",
    ...headers,
  ]);
  const connection = await say(place, request);
  const answer = await readAnswer(connection.incoming, "GET");
  assert.equal(answer.statusLine, "HTTP/1.1 101 Switching Protocols");
  assert.equal(headerOf(answer, "Sec-WebSocket-Protocol"), "derp");
  return new WebSocketClient(connection, answer, generatePrivateKey());
}

async function login(place: Place): Promise<WebSocketClient> {
  const client = await open(place);
  assert.equal((await client.next()).type, FrameType.serverKey);
  client.message(Opcode.binary, clientInfo(place.relay.relayKey, client.privateKey, usualInfo));
  assert.equal((await client.next()).type, FrameType.serverInfo);
  return client;
}

async function expectPacket(client: WebSocketClient, source: Client, packet: Buffer): Promise<void> {
  const { type, payload } = await client.next();
  assert.equal(type, FrameType.recvPacket);
  assert.ok(payload.subarray(0, keyLength).equals(source.key));
  assert.ok(payload.subarray(keyLength).equals(packet));
}

statement(
  "18. Given a proper WebSocket request with `derp`, then RFC 6455 101 with `Sec-WebSocket-Protocol: derp`, no extensions, first binary message = ServerKey.",
  async (rig) => {
    const { answer, connection } = await open(rig);
    const accept = createHash("sha1").update(`${nonce}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    assert.equal(headerOf(answer, "Sec-WebSocket-Accept"), accept);
    assert.equal(headerOf(answer, "Sec-WebSocket-Extensions"), undefined);
    assert.equal(headerOf(answer, "Derp-Public-Key"), undefined);
    const head = await connection.incoming.take(2);
    assert.deepEqual([...head], [0x82, 45]);
    const data = await connection.incoming.take(45);
    assert.ok(data.subarray(13).equals(rig.relay.relayKey));
  },
);

statement("19. Given an offer of permessage-deflate, then it is not accepted.", async (rig) => {
  const { answer } = await open(rig, [
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
  ]);
  assert.equal(headerOf(answer, "Sec-WebSocket-Extensions"), undefined);
});

statement("20. Given any Origin, then the WebSocket is accepted.", async (rig) => {
  for (const origin of ["https://elsewhere.example", "null", "http://localhost:8080"]) {
    await open(rig, [`Origin: ${origin}`]);
  }
});

statement(
  "21. Given a WebSocket client receiving a 65 536-byte packet, then no message exceeds 32 768 bytes and the packet is intact.",
  async (rig) => {
    const [browser, alice] = [await login(rig), await join(rig)];
    const packet = randomBytes(maxPacket);
    alice.write(encodeSendPacket(browser.key, packet));
    await expectPacket(browser, alice, packet);
    // derper writes 4 KiB and then all the rest: its browsers lose the connection. Statement 21 is for ours.
    const fits = Math.max(...browser.lengths) <= 32_768;
    assert.equal(fits, rig.differs("limits", { derper: false, ours: true }));
  },
);

statement(
  "22. Given DERP frames split or merged arbitrarily over binary messages, then handled; a text message closes with 1003.",
  async (rig) => {
    const [browser, alice] = [await login(rig), await join(rig)];
    const frames = Buffer.concat(
      ["1", "2", "3"].map((text) => encodeSendPacket(alice.key, Buffer.from(text))),
    );
    for (let at = 0; at < frames.length; at += 7) browser.message(Opcode.binary, frames.subarray(at, at + 7));
    browser.message(Opcode.binary, frames);
    for (const text of ["1", "2", "3", "1", "2", "3"]) {
      const { type, payload } = await alice.next();
      assert.equal(type, FrameType.recvPacket);
      assert.equal(payload.toString("latin1", keyLength), text);
    }
    browser.message(Opcode.text, Buffer.from("text"));
    await expectClose(browser, 1003);
  },
);

statement("22. Given a message of more than 32 768 bytes, then closed with 1009.", async (rig) => {
  const browser = await login(rig);
  browser.message(Opcode.binary, encodeSendPacket(browser.key, Buffer.alloc(32_769)));
  await expectClose(browser, 1009);
});

statement("22. Given a WebSocket Ping, then it is answered.", async (rig) => {
  const browser = await login(rig);
  browser.message(Opcode.ping, Buffer.from("hello"));
  assert.deepEqual(await browser.nextMessage(), { opcode: Opcode.pong, data: Buffer.from("hello") });
});

async function expectClose(client: WebSocketClient, code: number): Promise<void> {
  const { opcode, data } = await client.nextMessage();
  assert.equal(opcode, Opcode.close);
  assert.equal(data.readUInt16BE(), code);
}

statement(
  "23. Given a native and a WebSocket client, when they exchange packets, then both directions work.",
  async (rig) => {
    const [browser, alice] = [await login(rig), await join(rig)];
    const packet = randomBytes(1_200);
    alice.write(encodeSendPacket(browser.key, packet));
    await expectPacket(browser, alice, packet);
    browser.message(Opcode.binary, encodeSendPacket(alice.key, packet));
    const { payload } = await alice.next();
    assert.ok(payload.equals(Buffer.concat([browser.key, packet])));
  },
);
