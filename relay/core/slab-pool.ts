/** Output memory, in slabs that go from client to client: a client with nothing to send holds none. */
import { maxPacket } from "../protocol/frame.ts";
import { recvPacketOverhead } from "../protocol/writer.ts";

/** The longest frame fits in one slab, with room for its neighbours. */
export const slabSize = 68 * 1_024;
if (slabSize < maxPacket + recvPacketOverhead) throw new RangeError("a slab has to hold the longest frame");

/** One slab: frames lie end to end in `buffer[0, used)`. */
export interface Slab {
  readonly buffer: Buffer;
  used: number;
}

/**
 * Slabs that come back are kept, for what a runtime's garbage collector is left with it frees late: under a storm of
 * packets to clients that do not read it would lag by hundreds of MiB.
 */
export class SlabPool {
  readonly #free: Slab[] = [];
  /** The fewest that were free since the last `trim`. */
  #spare = 0;
  readonly #maxOut: number;
  readonly #relieve: () => void;
  #out = 0;

  /**
   * @param maxBytes of all slabs that are out, about: a slab that a socket holds cannot be taken from it
   * @param relieve called when that much is out and more is wanted: has somebody give slabs back, as far as that goes
   */
  constructor(maxBytes = Number.POSITIVE_INFINITY, relieve: () => void = () => {}) {
    this.#maxOut = maxBytes / slabSize;
    this.#relieve = relieve;
  }

  /** Bytes of the slabs that are out. */
  get bytesOut(): number {
    return this.#out * slabSize;
  }

  take(): Slab {
    if (this.#out >= this.#maxOut) this.#relieve();
    this.#out++;
    const slab = this.#free.pop() ?? { buffer: Buffer.allocUnsafeSlow(slabSize), used: 0 };
    this.#spare = Math.min(this.#spare, this.#free.length);
    slab.used = 0;
    return slab;
  }

  /** Says that a slab does not come back: the socket that uses it is gone, and nobody knows when it is done with it. */
  lose(): void {
    this.#out--;
  }

  /** Takes a slab back. Its bytes must not be in use by any socket. */
  give(slab: Slab): void {
    this.#out--;
    this.#free.push(slab);
  }

  /** Lets go of the slabs that nobody has needed since the last call. */
  trim(): void {
    this.#free.length -= this.#spare;
    this.#spare = this.#free.length;
  }
}
