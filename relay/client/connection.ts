/** A client's connection to a relay. */
import { randomBytes } from "node:crypto";
import { isZeroKey, type NodeKey, type PrivateKey } from "../crypto/keys.ts";
import { FrameType, nonceLength, protocolVersion } from "../protocol/frame.ts";
import { encodeFrame, encodeSendPacket } from "../protocol/writer.ts";
import { findMetaCertificate } from "./certificates.ts";
import { describeError } from "./dial.ts";
import { LoginRefused, orGiveUp, RelayFailure } from "./failure.ts";
import type { ServerFrame } from "./server-frame.ts";
import { ClientSession, type LoginFacts, type SessionEvent } from "./session.ts";
import { openTransport, type Transport, type TransportOptions } from "./transport.ts";

export interface LoginOptions {
  /** For the Host header. */
  readonly hostName: string;
  readonly privateKey: PrivateKey;
  /** The relay's key, from its meta certificate: log in without waiting for it to speak. */
  readonly fastStartKey?: NodeKey;
  /** Says that this client is a monitoring probe. */
  readonly prober?: boolean;
  /** Limits the login; the connection lives on. */
  readonly signal: AbortSignal;
}

export type ConnectOptions = TransportOptions &
  Pick<LoginOptions, "privateKey" | "prober"> & { readonly fastStart?: boolean };

/** What arrives unasked. */
export type Received = Exclude<ServerFrame, { type: "ping" | "pong" | "keepAlive" | "peerPresent" }>;

export interface RelayConnection extends AsyncDisposable {
  readonly facts: LoginFacts;
  readonly transport: Transport;
  send(destination: NodeKey, packet: Uint8Array): void;
  /** @throws RelayFailure if no Pong with the same eight bytes comes back before the signal aborts */
  ping(signal: AbortSignal): Promise<void>;
  /**
   * The next packet, PeerGone, Health or Restarting, in the order sent.
   *
   * @throws RelayFailure if the connection ends or the signal aborts before one comes
   */
  receive(signal: AbortSignal): Promise<Received>;
}

/** So many frames wait for `receive`; then TCP holds the relay back. */
const maxWaiting = 64;
const pingLength = 8;

/**
 * Connects to a relay, checks its identity and logs in.
 *
 * @throws RelayFailure that says what went wrong; before the identity is proven nothing is written
 */
export async function connectRelay(options: ConnectOptions): Promise<RelayConnection> {
  const { identity, privateKey, prober = false, fastStart = false, signal } = options;
  const own = { hostName: identity.hostName, privateKey, prober, signal };
  const transport = await openTransport(options);
  if (!fastStart) return await login(transport, own);
  const fastStartKey = findFastStartKey(transport);
  if (fastStartKey !== undefined) return await login(transport, { ...own, fastStartKey });
  await transport[Symbol.asyncDispose]();
  throw new RelayFailure("fast start needs TLS 1.3 and a meta certificate, and the relay lacks one of them");
}

/**
 * Logs in over a transport, which belongs to the connection from then on.
 *
 * @throws RelayFailure, LoginRefused among them; the transport is closed then
 */
export async function login(transport: Transport, options: LoginOptions): Promise<RelayConnection> {
  try {
    const channel = new Channel(transport, options);
    const facts = await channel.loggedIn(options.signal);
    return {
      facts,
      transport,
      send: (destination, packet) => channel.send(destination, packet),
      ping: (signal) => channel.ping(signal),
      receive: (signal) => channel.receive(signal),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  } catch (error) {
    await transport[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The key that clients begin with before the relay has spoken. They trust it under TLS 1.3 only, where the
 * certificates were sent encrypted.
 */
function findFastStartKey({ tlsVersion, certificates }: Transport): NodeKey | undefined {
  const meta = tlsVersion === "TLSv1.3" ? findMetaCertificate(certificates) : undefined;
  return meta === undefined || meta.version === 0 || isZeroKey(meta.relayKey) ? undefined : meta.relayKey;
}

/** The session on its stream, and what has arrived and is waiting. */
class Channel {
  readonly #transport: Transport;
  readonly #session: ClientSession;
  #facts: LoginFacts | undefined;
  readonly #waiting: Received[] = [];
  /** Pings by their payload in hex, and whether they are answered. */
  readonly #pings = new Map<string, boolean>();
  #failure: RelayFailure | undefined;
  /** Resolved and replaced whenever one of the above changes. */
  #change = Promise.withResolvers<void>();

  constructor(transport: Transport, options: LoginOptions) {
    const { hostName, privateKey, fastStartKey, prober = false } = options;
    const { stream } = transport;
    this.#transport = transport;
    this.#session = new ClientSession(
      {
        hostName,
        privateKey,
        info: { version: protocolVersion, canAckPings: true, isProber: prober, appName: "" },
        nonce: randomBytes(nonceLength),
        ...(fastStartKey === undefined ? {} : { fastStartKey }),
      },
      { write: (bytes) => stream.write(bytes), event: (event) => this.#handleEvent(event) },
    );
    stream.on("data", (chunk: Buffer) => this.#session.receive(chunk));
    stream.on("error", (error) => this.#fail(describeError(error)));
    stream.on("end", () => this.#handleEnd());
    stream.on("close", () => this.#handleEnd());
    this.#session.start();
  }

  loggedIn(signal: AbortSignal): Promise<LoginFacts> {
    return this.#until(
      signal,
      () => this.#session.waitingFor,
      () => this.#facts,
    );
  }

  send(destination: NodeKey, packet: Uint8Array): void {
    this.#transport.stream.write(encodeSendPacket(destination, packet));
  }

  async ping(signal: AbortSignal): Promise<void> {
    const payload = randomBytes(pingLength);
    const id = payload.toString("hex");
    this.#pings.set(id, false);
    this.#transport.stream.write(encodeFrame(FrameType.ping, payload));
    try {
      await this.#until(
        signal,
        () => "Pong",
        () => this.#pings.get(id) || undefined,
      );
    } finally {
      this.#pings.delete(id);
    }
  }

  async receive(signal: AbortSignal): Promise<Received> {
    const received = await this.#until(
      signal,
      () => "a frame",
      () => this.#waiting.shift(),
    );
    if (this.#waiting.length < maxWaiting) this.#transport.stream.resume();
    return received;
  }

  /** Looks again after each change, until there is something. */
  async #until<T>(signal: AbortSignal, what: () => string, look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#failure !== undefined) throw this.#failure;
      await orGiveUp(this.#change.promise, signal, what);
    }
  }

  #handleEvent(event: SessionEvent): void {
    switch (event.type) {
      case "loggedIn":
        this.#facts = event.facts;
        break;
      case "failed":
        this.#fail(event.reason);
        break;
      case "pong":
        this.#handlePong(event.payload.toString("hex"));
        break;
      case "ping":
      case "keepAlive":
      case "peerPresent": // For watchers, and this client is none.
        return;
      case "packet":
      case "peerGone":
      case "health":
      case "restarting":
        this.#waiting.push(event);
        if (this.#waiting.length >= maxWaiting) this.#transport.stream.pause();
    }
    this.#wake();
  }

  #handlePong(id: string): void {
    if (this.#pings.has(id)) this.#pings.set(id, true);
  }

  #handleEnd(): void {
    const { meaningOfEnd, refusedBy } = this.#session;
    if (refusedBy !== undefined) this.#failure ??= new LoginRefused(meaningOfEnd, refusedBy);
    this.#fail(meaningOfEnd);
  }

  /** The first failure is the cause, the others follow from it. */
  #fail(reason: string): void {
    this.#failure ??= new RelayFailure(reason);
    this.#wake();
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
