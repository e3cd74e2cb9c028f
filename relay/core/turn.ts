/**
 * When what waits is written: all of a turn of the event loop together, so that many packets for one client leave as one
 * write (at 64 B a packet then costs 1.4 times less); or at once, while so little comes that there is nothing to gather
 * and the end of the turn would only be waited for (some 10 µs each way).
 */
import type { Flushable } from "./session-context.ts";

/** A turn that brings no more than this is followed by one whose first pieces, so many, are passed on at once. */
const fewPieces = 4;

export class Turn {
  readonly #requestEnd: () => void;
  #waiting: Flushable[] = [];
  #endRequested = false;
  /** Pieces that this turn has brought. */
  #pieces = 0;
  /** Pieces of this turn that may still be passed on at once. */
  #early = 0;

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
    if (this.#endRequested) return;
    this.#endRequested = true;
    this.#requestEnd();
  }

  /** Says that a piece has been read, and handled up to what it leaves to write. */
  received(now: number): void {
    this.#pieces++;
    if (this.#early === 0) return;
    this.#early--;
    this.#flush(now);
  }

  /** Writes all that the turn has brought. */
  end(now: number): void {
    this.#endRequested = false;
    this.#early = this.#pieces <= fewPieces ? fewPieces : 0;
    this.#pieces = 0;
    this.#flush(now);
  }

  #flush(now: number): void {
    if (this.#waiting.length === 0) return;
    const flushables = this.#waiting;
    this.#waiting = [];
    for (const flushable of flushables) flushable.flush(now);
  }
}
