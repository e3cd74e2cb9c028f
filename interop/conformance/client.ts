/** A DERP client that says what a test wants, right or wrong, and shows each frame that comes back. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { Box } from "../../relay/crypto/box.ts";
import {
  generatePrivateKey,
  type NodeKey,
  nodeKey,
  type PrivateKey,
  publicKeyOf,
} from "../../relay/crypto/keys.ts";
import {
  FrameType,
  headerLength,
  keyLength,
  magic,
  nonceLength,
  PeerGoneReason,
} from "../../relay/protocol/frame.ts";
import { openServerInfo } from "../../relay/protocol/handshake.ts";
import { encodeFrame, encodeSendPacket } from "../../relay/protocol/writer.ts";
import { get, openTls } from "./http.ts";
import { Ended, Incoming, patienceMs } from "./incoming.ts";
import type { RelayUnderTest } from "./relay-under-test.ts";

/** A frame as it came. */
export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

export interface JoinOptions {
  readonly privateKey?: PrivateKey;
  /** ClientInfo's JSON, as it is. */
  readonly info?: string | Uint8Array;
  /** Lines beyond those that every upgrade has. */
  readonly headers?: readonly string[];
  readonly tls?: ConnectionOptions;
}

/** Where a client joins, and the test with which it leaves. */
export interface Place {
  readonly t: TestContext;
  readonly relay: RelayUnderTest;
}

export const usualInfo = '{"version":2,"CanAckPings":true}';
const upgradeHeaders = ["Connection: Upgrade", "Upgrade: DERP"];

/** The request of a native client. */
export function upgradeRequest(headers: readonly string[] = []): string {
  return get("/derp", [...upgradeHeaders, ...headers]);
}

/** Connects and sends bytes. The connection ends with the test. */
export async function say(
  { t, relay }: Place,
  bytes: string | Uint8Array,
  tls: ConnectionOptions = {},
): Promise<Connection> {
  const socket = await openTls(relay, tls);
  t.after(() => socket.destroy());
  const connection = new Connection(socket);
  connection.write(bytes);
  return connection;
}

/** Upgrades as a native client and reads the answer up to ServerKey. */
export async function upgrade(
  place: Place,
  headers: readonly string[] = [],
  tls: ConnectionOptions = {},
): Promise<Connection> {
  const connection = await say(place, upgradeRequest(headers), tls);
  const head = await connection.incoming.takeThrough("\r\n\r\n");
  assert.match(head.toString("latin1"), /^HTTP\/1\.1 101 /);
  const { type, payload } = await connection.next();
  assert.equal(type, FrameType.serverKey);
  assert.deepEqual(payload, Buffer.concat([magic, place.relay.relayKey]));
  return connection;
}

/** Logs in. ServerInfo has to be the first frame after ServerKey. */
export async function join(place: Place, options: JoinOptions = {}): Promise<Client> {
  const { privateKey = generatePrivateKey(), info = usualInfo, headers, tls } = options;
  const connection = await upgrade(place, headers, tls);
  connection.write(clientInfo(place.relay.relayKey, privateKey, info));
  const { type, payload } = await connection.next();
  assert.equal(type, FrameType.serverInfo);
  assert.equal(openServerInfo(payload, place.relay.relayKey, privateKey)?.version, 2);
  return new Client(connection.socket, connection.incoming, privateKey);
}

/** Tries to log in, and leaves. @returns whether ServerInfo came */
export async function isLetIn(
  place: Place,
  { privateKey = generatePrivateKey(), info = usualInfo }: Pick<JoinOptions, "privateKey" | "info"> = {},
): Promise<boolean> {
  const connection = await upgrade(place);
  connection.write(clientInfo(place.relay.relayKey, privateKey, info));
  const frame = await connection.next().catch(() => undefined);
  connection.socket.destroy();
  return frame?.type === FrameType.serverInfo;
}

/** Encodes a ClientInfo frame around any text. */
export function clientInfo(relayKey: NodeKey, privateKey: PrivateKey, json: string | Uint8Array): Buffer {
  const nonce = randomBytes(nonceLength);
  const box = Box.between(privateKey, relayKey);
  assert.ok(box !== undefined);
  return encodeFrame(
    FrameType.clientInfo,
    publicKeyOf(privateKey),
    nonce,
    box.seal(Buffer.from(json), nonce),
  );
}

export class Connection {
  readonly socket: TLSSocket;
  readonly incoming: Incoming;

  constructor(socket: TLSSocket, incoming = new Incoming(socket)) {
    this.socket = socket;
    this.incoming = incoming;
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  frame(type: number, ...pieces: readonly Uint8Array[]): void {
    this.write(encodeFrame(type, ...pieces));
  }

  /** The next frame. @throws Ended */
  async next(): Promise<Frame> {
    const header = await this.incoming.take(headerLength, "a frame");
    const payload = await this.incoming.take(header.readUInt32BE(1), "the rest of a frame");
    return { type: header.readUInt8(0), payload };
  }

  /** Waits until the relay closes the connection. @returns the frames that still came */
  async closed(): Promise<Frame[]> {
    const frames: Frame[] = [];
    try {
      for (;;) frames.push(await this.next());
    } catch (error) {
      if (error instanceof Ended) return frames;
      throw error;
    }
  }
}

/** A connection that is logged in. */
export class Client extends Connection {
  readonly privateKey: PrivateKey;
  readonly key: NodeKey;

  constructor(socket: TLSSocket, incoming: Incoming, privateKey: PrivateKey) {
    super(socket, incoming);
    this.privateKey = privateKey;
    this.key = publicKeyOf(privateKey);
  }

  send(destination: { readonly key: NodeKey } | NodeKey, packet: Uint8Array | string): void {
    const key = "key" in destination ? destination.key : destination;
    this.write(encodeSendPacket(key, Buffer.from(packet)));
  }

  /** The next frame has to be this packet. */
  async receives(source: { readonly key: NodeKey }, packet: Uint8Array | string): Promise<void> {
    const { type, payload } = await this.next();
    assert.equal(type, FrameType.recvPacket);
    assert.deepEqual(nodeKey(payload.subarray(0, keyLength)), source.key);
    // Not deepEqual on the bytes: its report of 64 KiB takes longer than the test.
    assert.ok(payload.subarray(keyLength).equals(Buffer.from(packet)), "the packet came through changed");
  }

  /** The next frame has to be a PeerGone. */
  async hearsGone(key: NodeKey, reason: PeerGoneReason): Promise<void> {
    const { type, payload } = await this.next();
    assert.equal(type, FrameType.peerGone);
    assert.deepEqual(payload, Buffer.concat([key, Uint8Array.of(reason)]));
  }

  /**
   * Sends a packet to itself and waits for it: the relay has then handled all that this client sent before, and since a
   * relay flushes only when nothing is left to write, what this led to has arrived with it. Not a Ping: one that comes
   * while an answer is pending is dropped.
   *
   * @returns the frames that came before
   */
  async sync(): Promise<Frame[]> {
    const packet = randomBytes(16);
    this.send(this, packet);
    const mark = Buffer.concat([this.key, packet]);
    const before: Frame[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame.type === FrameType.recvPacket && frame.payload.equals(mark)) return before;
      before.push(frame);
    }
  }

  /** Has heard nothing. Asked three times, as derper writes what waits in any order. */
  async hearsNothing(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await this.sync(), []);
  }

  /**
   * Sends to a client that does not read until it is said to have gone. Bit by bit, so that what a relay drops of a burst
   * does not keep the sockets' buffers from being filled: as long as they take all, the relay has nothing to wait for.
   */
  async floods(stopped: { readonly key: NodeKey }): Promise<void> {
    const until = performance.now() + 4 * patienceMs;
    const gone = Buffer.concat([stopped.key, Buffer.of(PeerGoneReason.disconnected)]);
    for (let heard: Frame[] = []; heard.length === 0;) {
      assert.ok(performance.now() < until, "the client that does not read was not closed");
      for (let count = 0; count < 16; count++) this.send(stopped, Buffer.alloc(60_000));
      heard = await this.sync();
      if (heard.length > 0) assert.deepEqual(heard, [{ type: FrameType.peerGone, payload: gone }]);
    }
  }

  /** Leaves, and waits until the relay has closed its side. */
  async leave(): Promise<void> {
    this.socket.end();
    await this.incoming.takeRest();
  }
}
