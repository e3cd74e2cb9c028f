/** A relay core with a clock in hand, and the clients of the tests: alice, bob, cathy. All in memory, all of it real protocol. */
import { createHash } from "node:crypto";
import { type CoreOptions, RelayCore } from "../core/core.ts";
import type { Session } from "../core/session.ts";
import type { CloseReason, Gate, Origin, SessionLimits, Transport } from "../core/session-context.ts";
import { type NodeKey, type PrivateKey, privateKeyFromSeed, publicKeyOf } from "../crypto/keys.ts";
import { FrameType, headerLength, keyLength } from "../protocol/frame.ts";
import { encodeClientInfo } from "../protocol/handshake.ts";
import type { ClientInfo } from "../protocol/info.ts";
import { FrameReader, Verdict } from "../protocol/reader.ts";
import { encodeFrame, encodeSendPacket } from "../protocol/writer.ts";
import { relayPrivate, relayPublic } from "./vectors.ts";

/** A frame as a client sees it. */
export interface SeenFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** Bytes that depend on a name and a counter, so that a failing test fails again. */
export function seededRandom(name: string): (length: number) => Buffer {
  let turn = 0;
  return (length) => {
    const blocks = Math.ceil(length / 32);
    const bytes = Array.from({ length: blocks }, () =>
      createHash("sha256").update(`${name} ${turn++}`).digest(),
    );
    return Buffer.concat(bytes).subarray(0, length);
  };
}

export class Stage {
  /** Milliseconds. */
  now = 1_000_000;
  readonly core: RelayCore;
  #flushWanted = false;

  constructor(
    limits: Partial<SessionLimits> = {},
    meshKeys: readonly Buffer[] = [],
    gate?: Gate,
    options: Pick<CoreOptions, "maxQueuedBytes" | "reportDuplicates" | "trace"> = {},
  ) {
    this.core = new RelayCore({
      ...options,
      privateKey: relayPrivate,
      gate,
      meshKeys,
      limits,
      random: seededRandom("relay"),
      requestFlush: () => {
        this.#flushWanted = true;
      },
    });
  }

  /** Lets time pass, and the turn of the event loop end. */
  pass(ms = 0): void {
    this.now += ms;
    this.core.tick(this.now);
    while (this.#flushWanted) {
      this.#flushWanted = false;
      this.core.flush(this.now);
    }
  }

  /** The relay's own key. */
  readonly relayKey: PrivateKey = relayPrivate;

  /** The public key that a client of this name has. */
  keyOf(name: string): NodeKey {
    return publicKeyOf(privateKeyOf(name));
  }

  /** A client that is logged in. Its handshake frames are not among those it saw. */
  join(name: string, info: Partial<ClientInfo> = {}, origin: Partial<Origin> = {}): Client {
    return this.joinAs(privateKeyOf(name), info, origin);
  }

  /** The same with a key of the test's choice. */
  joinAs(key: PrivateKey, info: Partial<ClientInfo> = {}, origin: Partial<Origin> = {}): Client {
    const client = new Client(this, key, origin);
    client.login(info);
    this.pass();
    client.seen.length = 0;
    return client;
  }
}

export class Client implements Transport {
  readonly key: NodeKey;
  readonly privateKey: PrivateKey;
  readonly session: Session;
  /** Frames that came, oldest first. */
  readonly seen: SeenFrame[] = [];
  /** How many writes the relay has made. */
  writes = 0;
  /** Why the relay ended the connection. */
  closed: CloseReason | undefined;
  readonly #stage: Stage;
  readonly #reader = new FrameReader();
  /** What the "socket" holds while the client does not read. */
  #stuck: Buffer[] | undefined;

  /** @param open how the relay begins the connection: as anybody's, unless it is one of its own probes */
  constructor(
    stage: Stage,
    who: string | PrivateKey,
    origin: Partial<Origin> = {},
    open: "open" | "openProbe" = "open",
  ) {
    this.#stage = stage;
    this.privateKey = typeof who === "string" ? privateKeyOf(who) : who;
    this.key = publicKeyOf(this.privateKey);
    this.session = stage.core[open](
      this,
      Buffer.alloc(0),
      { ip: Buffer.alloc(16), port: 0, notIdeal: false, ...origin },
      stage.now,
    );
  }

  /** Stops reading: the socket keeps the next write and takes no more. */
  stall(): void {
    this.#stuck = [];
  }

  /** Reads what the socket holds; with `again` it then holds on to the next write as before. */
  read(again = false): void {
    const stuck = this.#stuck ?? [];
    this.#stuck = again ? [] : undefined;
    for (const bytes of stuck) this.#consume(bytes);
    if (stuck.length > 0) this.session.handleDrained(this.#stage.now);
  }

  write(bytes: Buffer): boolean {
    this.writes++;
    if (this.#stuck === undefined) {
      this.#consume(bytes);
      return true;
    }
    this.#stuck.push(bytes); // Not a copy: what is reused too early shows up as damage.
    return false;
  }

  /** Milliseconds that the relay has made the client wait, each time. */
  readonly pauses: number[] = [];

  pauseReading(ms: number): void {
    this.pauses.push(ms);
  }

  resumeReading(): void {
    this.pauses.length = 0;
  }

  close(reason: CloseReason): void {
    this.closed = reason;
  }

  login(info: Partial<ClientInfo> = {}): void {
    const whole = { version: 2, canAckPings: false, isProber: false, appName: "", ...info };
    const nonce = seededRandom("nonce")(24);
    this.say(encodeClientInfo(this.privateKey, this.key, relayPublic, nonce, whole));
  }

  say(bytes: Buffer): void {
    this.session.receive(bytes, this.#stage.now);
  }

  send(to: Client | NodeKey, packet: Buffer): void {
    this.say(encodeSendPacket(to instanceof Client ? to.key : to, packet));
  }

  saysFrame(type: number, ...pieces: readonly Uint8Array[]): void {
    this.say(encodeFrame(type, ...pieces));
  }

  /** Contents of the packets that came, as text. */
  get packets(): string[] {
    return this.ofType(FrameType.recvPacket).map(({ payload }) =>
      payload.subarray(keyLength).toString("latin1"),
    );
  }

  ofType(type: number): SeenFrame[] {
    return this.seen.filter((frame) => frame.type === type);
  }

  #consume(bytes: Buffer): void {
    this.#reader.push(bytes, {
      header: () => Verdict.deliver,
      frame: (type, buffer, start, end) => {
        this.seen.push({ type, payload: Buffer.from(buffer.subarray(start, end)) });
        return true;
      },
    });
  }
}

function privateKeyOf(name: string): PrivateKey {
  return privateKeyFromSeed(createHash("sha256").update(name).digest());
}

/** A packet that looks like a disco message from 62 bytes on. */
export function discoPacket(length = 62): Buffer {
  return Buffer.concat([Buffer.from("5453f09f92ac", "hex"), Buffer.alloc(length - 6)]);
}

/** Length of the frame that carries a packet of so many bytes to a client. */
export const frameLength = (packet: number): number => headerLength + keyLength + packet;
