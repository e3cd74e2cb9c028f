/**
 * When what waits is written: all of a turn of the event loop together, so that many packets for one client leave as one
 * write (at 64 B a packet then costs 1.4 times less); or at once, while so little comes that there is nothing to gather
 * and the end of the turn would only be waited for.
 */
import type { Flushable } from "./session-context.ts";

/** With no more than so many pieces in a millisecond, those of the next are passed on at once. */
const fewPieces = 8;
const windowMs = 1;

export class Turn {
  readonly #requestEnd: () => void;
  #waiting: Flushable[] = [];
  #endRequested = false;
  /** While a piece is being read, what it leaves to write is decided on afterwards. */
  #reading = false;
  #windowEnd = 0;
  /** Pieces since the window began. */
  #pieces = 0;
  #quiet = false;

  /** @param requestEnd asks for one call of `end`, when the current turn has read all that came */
  constructor(requestEnd: () => void) {
    this.#requestEnd = requestEnd;
  }

  /** Those that have something to write. */
  get waiting(): Iterable<Flushable> {
    return this.#waiting;
  }

  /** Has somebody flushed by the end of the turn. */
  flushLater(flushable: Flushable): void {
    this.#waiting.push(flushable);
    if (!this.#reading) this.#waitForEnd();
  }

  /** Says that a piece is about to be read. */
  reading(now: number): void {
    this.#reading = true;
    if (now >= this.#windowEnd) {
      this.#quiet = this.#pieces <= fewPieces;
      this.#pieces = 0;
      this.#windowEnd = now + windowMs;
    }
    this.#pieces++;
  }

  /** Says that the piece has been handled, up to what it leaves to write. */
  read(now: number): void {
    this.#reading = false;
    if (this.#waiting.length === 0) return;
    if (this.#quiet && this.#pieces <= fewPieces) this.#flush(now);
    else this.#waitForEnd();
  }

  /** Writes all that the turn has brought. */
  end(now: number): void {
    this.#endRequested = false;
    this.#flush(now);
  }

  #waitForEnd(): void {
    if (this.#endRequested) return;
    this.#endRequested = true;
    this.#requestEnd();
  }

  #flush(now: number): void {
    const flushables = this.#waiting;
    this.#waiting = [];
    for (const flushable of flushables) flushable.flush(now);
  }
}
