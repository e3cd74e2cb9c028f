/**
 * Keeps this relay connected to another one of its region, for as long as both run: dials, logs in with the mesh key,
 * watches who is there, and begins again when the connection breaks.
 */
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { SecureContext } from "node:tls";
import type { RelayIdentity } from "../client/certificates.ts";
import { orGiveUp, RelayFailure } from "../client/failure.ts";
import { ClientSession, type SessionEvent } from "../client/session.ts";
import { openTransport, type Transport } from "../client/transport.ts";
import type { RelayCore } from "../core/core.ts";
import type { MeshLink } from "../core/mesh-link.ts";
import type { CloseReason } from "../core/session-context.ts";
import type { PrivateKey } from "../crypto/keys.ts";
import { nonceLength, protocolVersion } from "../protocol/frame.ts";
import { StreamTransport } from "../net/stream-transport.ts";

/** Another relay of the region. */
export interface MeshPeer {
  /** Who it has to prove to be. */
  readonly identity: RelayIdentity;
  /** Name or address to connect to. */
  readonly dialHost: string;
  readonly port: number;
}

export interface MeshClientOptions {
  readonly core: RelayCore;
  readonly peer: MeshPeer;
  /** This relay's own key: it is the client's key on the other side. */
  readonly privateKey: PrivateKey;
  /** The mesh key to show: 64 hex digits. */
  readonly meshKey: string;
  readonly trust: SecureContext;
  /** Told, before each attempt, at which address the other relay is. */
  readonly found?: (address: string) => void;
  readonly log: (line: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Wait before the next attempt. derper: 5 s. */
  readonly retryMs?: number;
}

/** For name, TCP, TLS and login together. derper: 10 s. */
const connectMs = 10_000;

/** Starts to keep the connection. It stops for good if the other relay turns out to be this one. */
export function startMeshClient(options: MeshClientOptions): AsyncDisposable {
  const stopping = new AbortController();
  const running = keepConnected(options, stopping.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function keepConnected(options: MeshClientOptions, signal: AbortSignal): Promise<void> {
  const { peer, log, retryMs = 5_000 } = options;
  const name = `mesh peer ${peer.identity.hostName}`;
  let lastReason = "";
  while (!signal.aborted) {
    try {
      const link = await connect(options, signal);
      if (link === "self") return log(`${name}: this is us, nothing to do`);
      log(`${name}: connected`);
      lastReason = await link.ended(signal);
      if (!signal.aborted) log(`${name}: ${lastReason}`);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RelayFailure)) throw error;
      // The same reason again and again says nothing new.
      if (error.message !== lastReason) log(`${name}: ${error.message}; next attempt in ${retryMs} ms`);
      lastReason = error.message;
    }
    await sleep(retryMs, undefined, { signal }).catch(() => {});
  }
}

interface OpenLink {
  /** Resolves with the reason when the link is over; ends it when the signal aborts. */
  ended(signal: AbortSignal): Promise<string>;
}

async function connect(options: MeshClientOptions, signal: AbortSignal): Promise<OpenLink | "self"> {
  const { core, peer, trust, found } = options;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
  const address = await resolve(peer.dialHost, limit);
  found?.(address);
  const endpoint = { address, port: peer.port };
  const transport = await openTransport({ endpoint, identity: peer.identity, trust, signal: limit });
  try {
    const dialogue = new Dialogue(transport, options);
    const relayKey = await dialogue.loggedIn(limit);
    if (!relayKey.equals(core.publicKey)) return dialogue.open();
    await transport[Symbol.asyncDispose]();
    return "self";
  } catch (error) {
    transport.stream.destroy();
    throw error;
  }
}

async function resolve(host: string, signal: AbortSignal): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await orGiveUp(lookup(host), signal, () => `the address of ${host}`)).address;
  } catch (cause) {
    if (cause instanceof RelayFailure) throw cause;
    throw new RelayFailure(`${host} has no address`, { cause });
  }
}

/** Why the link itself gave up, in words. */
const closings: Partial<Record<CloseReason, string>> = {
  silent: "the other relay was silent for 120 s",
  "write-timeout": "the other relay took nothing for 5 s",
};

/** What is said on one connection: the login, and then the link. */
class Dialogue {
  readonly #options: MeshClientOptions;
  readonly #transport: Transport;
  readonly #session: ClientSession;
  readonly #login = Promise.withResolvers<Buffer>();
  readonly #over = Promise.withResolvers<string>();
  #link: MeshLink | undefined;

  constructor(transport: Transport, options: MeshClientOptions) {
    const { privateKey, meshKey, peer, now } = options;
    const { stream } = transport;
    this.#options = options;
    this.#transport = transport;
    this.#login.promise.catch(() => {});
    this.#session = new ClientSession(
      {
        hostName: peer.identity.hostName,
        privateKey,
        info: { meshKey, version: protocolVersion, canAckPings: false, isProber: false, appName: "" },
        nonce: randomBytes(nonceLength),
      },
      {
        write: (bytes) => void (this.#link === undefined ? stream.write(bytes) : this.#link.send(bytes)),
        event: (event) => this.#handle(event),
      },
    );
    stream.on("data", (chunk: Buffer) => {
      this.#link?.heard(now());
      this.#session.receive(chunk);
    });
    stream.on("end", () => this.#end(this.#session.meaningOfEnd));
    stream.on("close", () => this.#end(this.#session.meaningOfEnd));
    this.#session.start();
  }

  /** @returns the other relay's key */
  loggedIn(signal: AbortSignal): Promise<Buffer> {
    return orGiveUp(this.#login.promise, signal, () => this.#session.waitingFor);
  }

  open(): OpenLink {
    const { core, now } = this.#options;
    const transport = new StreamTransport(this.#transport.stream);
    const close = (reason: CloseReason): void => {
      this.#over.resolve(closings[reason] ?? reason);
      transport.close();
    };
    const pipe = {
      write: (bytes: Buffer) => transport.write(bytes),
      pauseReading: (ms: number) => transport.pauseReading(ms),
      resumeReading: () => transport.resumeReading(),
      close,
    };
    const link = core.openLink(pipe, now());
    this.#link = link;
    transport.onDrained = () => link.handleDrained(now());
    return {
      ended: async (signal) => {
        const stopped = signal.aborted ? Promise.resolve() : once(signal, "abort");
        const reason = await Promise.race([this.#over.promise, stopped.then(() => "stopped")]);
        link.close(reason === "stopped" ? "shutdown" : "end");
        return reason;
      },
    };
  }

  #handle(event: SessionEvent): void {
    switch (event.type) {
      case "loggedIn":
        this.#login.resolve(event.facts.serverKey);
        break;
      case "failed":
        this.#end(event.reason);
        break;
      case "peerPresent":
        this.#link?.present(event.key);
        break;
      case "peerGone":
        this.#link?.absent(event.key);
        break;
      case "packet": // Sent by somebody to this relay's own key: nobody is here to read it.
      case "ping": // The session has answered.
      case "pong":
      case "keepAlive":
      case "health":
      case "restarting":
        break;
    }
  }

  #end(reason: string): void {
    this.#login.reject(new RelayFailure(reason));
    this.#over.resolve(reason);
    this.#link?.close("end");
  }
}
