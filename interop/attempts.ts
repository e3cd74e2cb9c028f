/** Logins one after the other, as fast as they go, to see whether any is refused meanwhile. */
import { connectRelay } from "../relay/client/connection.ts";
import { createTrust } from "../relay/client/transport.ts";
import { generatePrivateKey } from "../relay/crypto/keys.ts";
import type { HerdPlace } from "./herd.ts";

/** So many at the same time. */
const width = 4;
const loginMs = 60_000;

export class Attempts implements AsyncDisposable {
  /** Logins that came about. */
  count = 0;
  /** What the others said. */
  readonly failures: string[] = [];
  /** Milliseconds. */
  slowest = 0;
  /** When each login came about, in milliseconds since 1970. */
  readonly times: number[] = [];
  readonly #stop = new AbortController();
  readonly #place: HerdPlace;
  readonly #trust = createTrust();
  readonly #workers: Promise<void>[];

  constructor(place: HerdPlace) {
    this.#place = place;
    this.#workers = Array.from({ length: width }, () => this.#work());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    const { files, derpPort } = this.#place;
    while (!this.#stop.signal.aborted) {
      const began = performance.now();
      try {
        await using _ = await connectRelay({
          endpoint: { address: "127.0.0.1", port: derpPort },
          identity: { hostName: files.hostName, certName: files.pin },
          trust: this.#trust,
          privateKey: generatePrivateKey(),
          signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(loginMs)]),
        });
        this.count++;
        this.times.push(Date.now());
        this.slowest = Math.max(this.slowest, performance.now() - began);
      } catch (error) {
        if (!this.#stop.signal.aborted) this.failures.push(String(error));
      }
    }
  }
}
