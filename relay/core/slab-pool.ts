/** Output memory, in slabs that go from client to client: a client with nothing to send holds none. */
import { maxPacket } from "../protocol/frame.ts";
import { recvPacketOverhead } from "../protocol/writer.ts";

/** The longest frame fits in one slab, with room for its neighbours. */
export const slabSize = 68 * 1_024;
if (slabSize < maxPacket + recvPacketOverhead) throw new RangeError("a slab has to hold the longest frame");

/** Slabs kept for reuse: 4 MiB and a bit. */
const maxFree = 64;

/** One slab: frames lie end to end in `buffer[0, used)`. */
export interface Slab {
  readonly buffer: Buffer;
  used: number;
}

export class SlabPool {
  readonly #free: Slab[] = [];

  take(): Slab {
    const slab = this.#free.pop() ?? { buffer: Buffer.allocUnsafeSlow(slabSize), used: 0 };
    slab.used = 0;
    return slab;
  }

  /** Takes a slab back. Its bytes must not be in use by any socket. */
  give(slab: Slab): void {
    if (this.#free.length < maxFree) this.#free.push(slab);
  }
}
