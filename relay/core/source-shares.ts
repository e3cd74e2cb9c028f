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
  /** Its place in the list. */
  at: number;
}

/** Sources that are looked at for one drop. More than a client has peers, and still quick. */
const maxLookedAt = 1_024;

export class SourceShares {
  readonly #shares = new Map<Peer, Share>();
  /** The same ones in any order, to go through them without garbage: it is done for each packet that is dropped. */
  readonly #list: Share[] = [];

  /** A frame has come. Numbers rise. */
  add(source: Peer, number: number, bytes: number): void {
    const share = this.#shares.get(source);
    if (share === undefined) {
      const begun = { bytes, frames: [number], first: 0, at: this.#list.length };
      this.#shares.set(source, begun);
      this.#list.push(begun);
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
      this.#forget(share);
    } else if (share.first > 64 && share.first * 2 > share.frames.length) {
      share.frames = share.frames.slice(share.first);
      share.first = 0;
    }
  }

  /** The number of the oldest frame of the source with most bytes; of equals, of the one whose oldest frame is older. */
  oldestOfHeaviest(): number | undefined {
    let most = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#list.length && at < maxLookedAt; at++) {
      const share = this.#list[at] as Share;
      const first = share.frames[share.first] as number;
      if (share.bytes > most || (share.bytes === most && first < oldest)) {
        most = share.bytes;
        oldest = first;
      }
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest;
  }

  /** The last one of the list takes its place. */
  #forget({ at }: Share): void {
    const last = this.#list.pop() as Share;
    if (at === this.#list.length) return;
    last.at = at;
    this.#list[at] = last;
  }
}
