/**
 * Which source has how much in a queue that is full, so that whoever floods a client loses packets, and not whoever else
 * sends to it (repair Q18). Kept only while a queue is full: a queue that is not needs no such books.
 */
import type { Peer } from "./peer.ts";

interface Share {
  bytes: number;
  /** Frames in order, by their number in the queue; those before `first` have left. */
  frames: number[];
  first: number;
}

/** Sources that are looked at for one drop. More than a client has peers, and still quick. */
const maxLookedAt = 1_024;

export class SourceShares {
  readonly #shares = new Map<Peer, Share>();

  /** A frame has come. Numbers rise. */
  add(source: Peer, number: number, bytes: number): void {
    const share = this.#shares.get(source);
    if (share === undefined) {
      this.#shares.set(source, { bytes, frames: [number], first: 0 });
      return;
    }
    share.bytes += bytes;
    share.frames.push(number);
  }

  /** A source's oldest frame has left. */
  remove(source: Peer, bytes: number): void {
    const share = this.#shares.get(source);
    if (share === undefined) return;
    share.bytes -= bytes;
    share.first++;
    if (share.first === share.frames.length) {
      this.#shares.delete(source);
    } else if (share.first > 64 && share.first * 2 > share.frames.length) {
      share.frames = share.frames.slice(share.first);
      share.first = 0;
    }
  }

  /** The number of the oldest frame of the source with most bytes; of equals, of the one whose oldest frame is older. */
  oldestOfHeaviest(): number | undefined {
    let [most, oldest, left] = [0, Number.POSITIVE_INFINITY, maxLookedAt];
    for (const share of this.#shares.values()) {
      const first = share.frames[share.first] as number;
      if (share.bytes > most || (share.bytes === most && first < oldest)) {
        most = share.bytes;
        oldest = first;
      }
      if (--left === 0) break;
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest;
  }
}
