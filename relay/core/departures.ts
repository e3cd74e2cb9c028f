/**
 * The letting go of clients that are at home here, while their region is on its way out. A client whose connection ends
 * comes back within a second, and is at home here again: only a relay that it cannot get back to has it look for another.
 */
import type { NodeKey } from "../crypto/keys.ts";

/** So long a key that was let go is refused: a client finds its next home within it. */
export const refusedMs = 40_000;

export class Departures {
  /** By key, when it may come back; each is let go once. */
  readonly #backAt = new Map<string, number>();
  /** Whoever makes this its home before then has to go as well. */
  #until = Number.NEGATIVE_INFINITY;

  /** Begins to let clients go. @param overMs until the last one goes */
  begin(overMs: number, now: number): void {
    this.#backAt.clear();
    this.#until = now + overMs + refusedMs;
  }

  /** Lets one go. @returns false if it has been let go already and is back: it has nowhere else to be */
  letGo(key: NodeKey, now: number): boolean {
    const id = key.toString("latin1");
    if (!this.#backAt.has(id)) this.#backAt.set(id, now + refusedMs);
    return this.refuses(key, now);
  }

  /** Whether a client that makes this its home now comes while others are let go. */
  isUnderWay(now: number): boolean {
    return now < this.#until;
  }

  refuses(key: NodeKey, now: number): boolean {
    const backAt = this.#backAt.get(key.toString("latin1"));
    return backAt !== undefined && now < backAt;
  }

  /** Forgets what is over. */
  tick(now: number): void {
    if (this.#backAt.size > 0 && now >= this.#until + refusedMs) this.#backAt.clear();
  }
}
