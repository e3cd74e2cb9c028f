/** Strangers who keep a relay busy with TLS: each connects, does as much of a handshake as its kind does, and is gone. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import timers from "node:timers/promises";
import * as tls from "node:tls";
import type { Endpoint } from "../relay/client/dial.ts";

/** So many are connected, or about to be, at the same time. */
const width = 200;
const lingerMs = 250;
/** A relay that has not answered by then is busy with others: they come in one after the other. */
const patienceMs = 30_000;
const garbageBytes = 1_024;

const kinds = {
  /** Says nothing. */
  silent: () => timers.setTimeout(lingerMs),
  /** Sends what is no TLS, and waits for what comes of it. */
  garbage: async (socket) => {
    socket.write(randomBytes(garbageBytes));
    await closed(socket);
  },
  /** Breaks off within its ClientHello. */
  half: async (socket, hello) => {
    socket.write(hello.subarray(0, hello.length / 2));
    await timers.setTimeout(lingerMs);
  },
  /** Is gone before the answer to its ClientHello. */
  abandoned: async (socket, hello) => void (await new Promise((done) => socket.write(hello, done))),
  /** Is gone when the answer comes: the relay has signed it. */
  cut: async (socket, hello) => {
    socket.write(hello);
    await once(socket, "data", { signal: AbortSignal.timeout(patienceMs) });
  },
  /** Completes its handshake. */
  whole: async (socket, _hello, servername) => {
    const secure = tls.connect({ socket, servername, rejectUnauthorized: false }).on("error", () => {});
    await once(secure, "secureConnect", { signal: AbortSignal.timeout(patienceMs) });
  },
} as const satisfies Record<string, (socket: Socket, hello: Buffer, hostName: string) => Promise<void>>;

type Kind = keyof typeof kinds;
const order = Object.keys(kinds) as Kind[];

export class HandshakeFlood implements AsyncDisposable {
  /** How many of each kind came as far as they meant to. */
  readonly counts = Object.fromEntries(order.map((kind) => [kind, 0])) as Record<Kind, number>;
  /** Those that did not. */
  failures = 0;
  #begun = 0;
  readonly #stop = new AbortController();
  readonly #workers: Promise<void>[];

  /** @param hostName the relay's: whoever names none is refused before the costly part */
  constructor(endpoint: Endpoint, hostName: string) {
    const hello = captureHello(hostName);
    this.#workers = Array.from({ length: width }, () => this.#work(endpoint, hostName, hello));
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#workers);
  }

  async #work({ address, port }: Endpoint, hostName: string, hello: Promise<Buffer>): Promise<void> {
    const bytes = await hello;
    while (!this.#stop.signal.aborted) {
      const kind = order[this.#begun++ % order.length] ?? "silent";
      const socket = connect({ host: address, port });
      socket.on("error", () => {}); // Some relays reset who speaks no TLS.
      try {
        await once(socket, "connect", { signal: AbortSignal.timeout(patienceMs) });
        await kinds[kind](socket, bytes, hostName);
        this.counts[kind]++;
      } catch {
        this.failures++;
        await timers.setTimeout(lingerMs);
      } finally {
        socket.destroy();
      }
    }
  }
}

/** Until the other side has closed, or is too slow. */
async function closed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.destroyed) await once(socket, "close", { signal: AbortSignal.timeout(patienceMs) });
}

/** What a client of TLS says first. */
async function captureHello(servername: string): Promise<Buffer> {
  const said = Promise.withResolvers<Buffer>();
  const nowhere = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      said.resolve(chunk);
      done();
    },
  });
  tls.connect({ socket: nowhere, servername, rejectUnauthorized: false }).on("error", () => {});
  try {
    return await said.promise;
  } finally {
    nowhere.destroy();
  }
}
