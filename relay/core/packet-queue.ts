/**
 * The packets that wait for one client or relay, as finished frames: RecvPacket for a client, ForwardPacket for a relay.
 *
 * A packet is copied once, into the slab it is sent from; frames of one slab that are sent together are one piece of
 * memory and leave as one write. What a ring of numbers says of each frame (length, time, source) is all else there is.
 *
 * The queue is full when it holds more than `maxBytes` and more than `minPackets`; the oldest packet then makes room for
 * the newest (repair Q18: derper bounds by 32 packets whatever their size, and so drops most of a burst).
 */
import { headerLength, keyLength } from "../protocol/frame.ts";
import { writeHeader } from "../protocol/writer.ts";
import type { Peer } from "./peer.ts";
import { type Slab, type SlabPool, slabSize } from "./slab-pool.ts";

export interface QueueLimits {
  readonly maxBytes: number;
  readonly minPackets: number;
  /** Milliseconds after which a packet is worth nothing to its receiver. */
  readonly maxAge: number;
}

export const defaultQueueLimits: QueueLimits = { maxBytes: 1_048_576, minPackets: 32, maxAge: 1_000 };

/** Told of each packet that leaves the queue. `bytes` is the length of what was pushed. */
export interface QueueObserver {
  sent(source: Peer, bytes: number, waitedMs: number): void;
  dropped(bytes: number): void;
}

const initialRing = 64;

export class PacketQueue {
  readonly #type: number;
  readonly #pool: SlabPool;
  readonly #limits: QueueLimits;
  readonly #slabs: Slab[] = [];
  /** Where the oldest frame begins in the first slab. */
  #head = 0;
  /** The slab that the last `take` lent out. */
  #lent: Slab | undefined;
  /** Ring of what is known of each frame; its size is a power of two. */
  #lengths = new Uint32Array(initialRing);
  #times = new Float64Array(initialRing);
  #sources: (Peer | undefined)[] = Array.from({ length: initialRing });
  #first = 0;
  #count = 0;
  /** Bytes of all waiting frames, headers included. */
  #bytes = 0;

  /** @param type of the frames that packets become */
  constructor(type: number, pool: SlabPool, limits: QueueLimits) {
    this.#type = type;
    this.#pool = pool;
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a packet, and drops the oldest ones while the queue is over its limits. */
  push(source: Peer, packet: Buffer, start: number, end: number, now: number, observer: QueueObserver): void {
    const length = overheadOf(source) + end - start;
    const slab = this.#slabFor(length);
    let at = writeHeader(slab.buffer, slab.used, this.#type, length - headerLength);
    if (!source.anonymous) at += source.key.copy(slab.buffer, at);
    packet.copy(slab.buffer, at, start, end);
    slab.used += length;
    if (this.#count === this.#lengths.length) this.#growRing();
    const index = (this.#first + this.#count) & (this.#lengths.length - 1);
    this.#lengths[index] = length;
    this.#times[index] = now;
    this.#sources[index] = source;
    this.#count++;
    this.#bytes += length;
    while (this.#bytes > this.#limits.maxBytes && this.#count > this.#limits.minPackets) {
      this.#drop(observer);
    }
  }

  /**
   * Takes the next piece to send: the oldest frames that are still fresh and lie in one slab, up to `maxBytes` but at
   * least one frame. Its bytes stay untouched until `release`, which has to come before the next `take`.
   *
   * @returns undefined if nothing fresh is left
   */
  take(maxBytes: number, now: number, observer: QueueObserver): Buffer | undefined {
    const oldest = now - this.#limits.maxAge;
    while (this.#count > 0 && (this.#times[this.#first] as number) < oldest) this.#drop(observer);
    if (this.#count === 0) return undefined;
    this.#leaveEmptySlabs();
    const slab = this.#slabs[0] as Slab;
    this.#lent = slab;
    const start = this.#head;
    let end = start;
    while (end < slab.used) {
      const length = this.#lengths[this.#first] as number;
      if (end > start && end + length - start > maxBytes) break;
      end += length;
      const waited = now - (this.#times[this.#first] as number);
      const source = this.#shift();
      observer.sent(source, length - overheadOf(source), waited);
    }
    return slab.buffer.subarray(start, end);
  }

  /** Says that no socket uses any longer what was taken: memory without waiting frames goes back to the pool. */
  release(): void {
    const lent = this.#lent;
    this.#lent = undefined;
    if (lent !== undefined && !this.#slabs.includes(lent)) this.#pool.give(lent);
    const [slab] = this.#slabs;
    if (this.#count > 0 || slab === undefined) return;
    this.#leaveEmptySlabs();
    this.#pool.give(this.#slabs.pop() as Slab);
    this.#head = 0;
  }

  /** Drops everything that waits. */
  clear(observer: QueueObserver): void {
    while (this.#count > 0) this.#drop(observer);
  }

  #drop(observer: QueueObserver): void {
    const length = this.#lengths[this.#first] as number;
    observer.dropped(length - overheadOf(this.#shift()));
  }

  /** Takes the oldest frame out of the books and returns its source. */
  #shift(): Peer {
    this.#leaveEmptySlabs();
    const length = this.#lengths[this.#first] as number;
    const source = this.#sources[this.#first] as Peer;
    this.#sources[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#lengths.length - 1);
    this.#count--;
    this.#bytes -= length;
    this.#head += length;
    return source;
  }

  /** Moves on from slabs whose frames are all sent or dropped, but keeps the last one, which is still written to. */
  #leaveEmptySlabs(): void {
    while (this.#slabs.length > 1 && this.#head === (this.#slabs[0] as Slab).used) {
      const slab = this.#slabs.shift() as Slab;
      if (slab !== this.#lent) this.#pool.give(slab);
      this.#head = 0;
    }
  }

  #slabFor(length: number): Slab {
    const last = this.#slabs.at(-1);
    if (last !== undefined && last.used + length <= slabSize) return last;
    const slab = this.#pool.take();
    this.#slabs.push(slab);
    return slab;
  }

  #growRing(): void {
    const size = this.#lengths.length;
    const lengths = new Uint32Array(2 * size);
    const times = new Float64Array(2 * size);
    const sources: (Peer | undefined)[] = Array.from({ length: 2 * size });
    for (let i = 0; i < size; i++) {
      const from = (this.#first + i) & (size - 1);
      lengths[i] = this.#lengths[from] as number;
      times[i] = this.#times[from] as number;
      sources[i] = this.#sources[from];
    }
    this.#lengths = lengths;
    this.#times = times;
    this.#sources = sources;
    this.#first = 0;
  }
}

/** What comes before the packet: the header, and the source's key if there is one. */
function overheadOf(source: Peer): number {
  return headerLength + (source.anonymous ? 0 : keyLength);
}
