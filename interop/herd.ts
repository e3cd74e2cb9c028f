/** Many clients of one relay that come back whenever their connection breaks, at the pace of Tailscale's clients. */
import timers from "node:timers/promises";
import { connectRelay, type RelayConnection } from "../relay/client/connection.ts";
import { orGiveUp, RelayFailure } from "../relay/client/failure.ts";
import { createTrust } from "../relay/client/transport.ts";
import { generatePrivateKey, type PrivateKey } from "../relay/crypto/keys.ts";
import type { RelayFiles } from "./conformance/relay-under-test.ts";

/** A login that takes longer has failed. */
const loginMs = 10_000;
/** The pause after n failures in a row is n² times the first, up to the longest, and then 50 to 150 % of that. */
const pauseMs = { first: 10, longest: 5_000 };

const mostReasons = 5;

/** Where the relay is, and by what its clients know it. */
export interface HerdPlace {
  readonly files: Pick<RelayFiles, "hostName" | "pin">;
  readonly derpPort: number;
}

export class Herd implements AsyncDisposable {
  /** Attempts to log in that failed. */
  failures = 0;
  /** What the first of them said. */
  readonly reasons: string[] = [];
  /** The longest that any client was without a relay, from the end of one connection to its next login, in milliseconds. */
  longestGap = 0;
  readonly #place: HerdPlace;
  readonly #trust = createTrust();
  readonly #loggedIn = new Set<RelayConnection>();
  readonly #stop = new AbortController();
  readonly #clients: Promise<void>[] = [];
  /** Resolved and replaced whenever a client has logged in or lost its connection. */
  #change = Promise.withResolvers<void>();

  constructor(place: HerdPlace) {
    this.#place = place;
  }

  /** Adds so many clients, each with a key of its own. */
  grow(count: number): void {
    this.add(Array.from({ length: count }, generatePrivateKey));
  }

  /** Adds clients with these keys. */
  add(keys: readonly PrivateKey[]): void {
    this.#clients.push(...keys.map((key) => this.#stayConnected(key)));
  }

  /** Waits until so many clients are logged in. @throws RelayFailure that says how many were, if the signal aborts */
  async becomes(count: number, signal: AbortSignal): Promise<void> {
    while (this.#loggedIn.size !== count) {
      const now = (): string => `${count} clients, of which ${this.#loggedIn.size} are there`;
      await orGiveUp(this.#change.promise, signal, now);
    }
  }

  /** Has every client that is logged in send a Ping and get its Pong. @returns how many they are */
  async ping(signal: AbortSignal): Promise<number> {
    const connections = [...this.#loggedIn];
    await Promise.all(connections.map((connection) => connection.ping(signal)));
    return connections.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#clients);
  }

  async #stayConnected(privateKey: PrivateKey): Promise<void> {
    let failuresInARow = 0;
    let lostAt: number | undefined;
    while (!this.#stop.signal.aborted) {
      try {
        await using connection = await this.#connect(privateKey);
        if (lostAt !== undefined) this.longestGap = Math.max(this.longestGap, performance.now() - lostAt);
        failuresInARow = 0;
        lostAt = undefined;
        await this.#listen(connection);
      } catch (error) {
        lostAt ??= performance.now();
        if (!(error instanceof RelayFailure)) throw error;
      }
      await this.#pause(++failuresInARow);
    }
  }

  async #connect(privateKey: PrivateKey): Promise<RelayConnection> {
    const { files, derpPort } = this.#place;
    try {
      return await connectRelay({
        endpoint: { address: "127.0.0.1", port: derpPort },
        identity: { hostName: files.hostName, certName: files.pin },
        trust: this.#trust,
        privateKey,
        fastStart: true,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(loginMs)]),
      });
    } catch (error) {
      this.failures++;
      if (this.reasons.length < mostReasons) this.reasons.push(String(error));
      throw error;
    }
  }

  /** Until the connection ends. */
  async #listen(connection: RelayConnection): Promise<void> {
    this.#loggedIn.add(connection);
    this.#wake();
    try {
      for (;;) await connection.receive(this.#stop.signal);
    } finally {
      this.#loggedIn.delete(connection);
      this.#wake();
    }
  }

  async #pause(failuresInARow: number): Promise<void> {
    const { first, longest } = pauseMs;
    const ms = Math.min(first * failuresInARow ** 2, longest) * (0.5 + Math.random());
    await timers.setTimeout(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
