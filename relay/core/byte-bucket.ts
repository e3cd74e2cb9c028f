/**
 * Limits a flow of bytes to a rate. Whoever comes when the bucket is short is let through and owes: the flow then has to
 * wait until the debt is paid (reserve semantics, as in Go's `rate.Limiter`). It starts full.
 */
export class ByteBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #bytes: number;
  #at: number;

  /** @param now milliseconds */
  constructor({ bytesPerSecond, burst }: RateLimit, now: number) {
    this.#perMs = bytesPerSecond / 1_000;
    this.#burst = burst;
    this.#bytes = burst;
    this.#at = now;
  }

  /** Takes bytes, and returns for how many milliseconds the flow has to wait; 0 if it need not. */
  take(bytes: number, now: number): number {
    this.#bytes = Math.min(this.#burst, this.#bytes + Math.max(0, now - this.#at) * this.#perMs) - bytes;
    this.#at = now;
    return this.#bytes >= 0 ? 0 : -this.#bytes / this.#perMs;
  }
}

/** What each client may send. */
export interface RateLimit {
  readonly bytesPerSecond: number;
  /** Bytes at once. */
  readonly burst: number;
}
