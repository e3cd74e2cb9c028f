/**
 * The packets that wait for one client or relay, as finished frames: RecvPacket for a client, ForwardPacket for a relay.
 *
 * A packet is copied once, into the slab it is sent from; frames of one slab that are sent together are one piece of
 * memory and leave as one write. What a ring of numbers says of each frame (length, time, source) is all else there is.
 *
 * The queue is full when it holds more than `maxBytes` and more than `minPackets`; the oldest packet of the source that
 * has most bytes in it then makes room for the newest (repair Q18: derper bounds by 32 packets whatever their size, and
 * so drops most of a burst; and it drops the oldest, so that one who floods a client cuts off everybody else).
 */
import { headerLength, keyLength } from "../protocol/frame.ts";
import { writeHeader } from "../protocol/writer.ts";
import type { Peer } from "./peer.ts";
import { type Slab, type SlabPool, slabSize } from "./slab-pool.ts";
import { SourceShares } from "./source-shares.ts";

export interface QueueLimits {
  readonly maxBytes: number;
  readonly minPackets: number;
  /** Milliseconds after which a packet is worth nothing to its receiver. */
  readonly maxAge: number;
  /** Whose oldest packet makes room: that of the source with most bytes, or simply the oldest, as in derper. */
  readonly shed: "heaviest" | "oldest";
}

export const defaultQueueLimits: QueueLimits = {
  maxBytes: 1_048_576,
  minPackets: 32,
  maxAge: 1_000,
  shed: "heaviest",
};

/** derper's queue: so many packets, whatever their size and age. */
export function derperQueueLimits(packets: number): QueueLimits {
  return { maxBytes: 0, minPackets: packets, maxAge: Number.POSITIVE_INFINITY, shed: "oldest" };
}

/** Told of each packet that leaves the queue. `bytes` is the length of what was pushed. */
export interface QueueObserver {
  sent(source: Peer, bytes: number, waitedMs: number): void;
  dropped(source: Peer, bytes: number): void;
}

const initialRing = 64;

export class PacketQueue {
  readonly #type: number;
  readonly #pool: SlabPool;
  readonly #limits: QueueLimits;
  #slabs: Slab[] = [];
  /** Where the oldest frame begins in the first slab. */
  #head = 0;
  /** The slab that the last `take` lent out. */
  #lent: Slab | undefined;
  /** Ring of what is known of each frame; its size is a power of two. A frame without source is a hole: dropped already. */
  #lengths = new Uint32Array(initialRing);
  #times = new Float64Array(initialRing);
  #sources: (Peer | undefined)[] = Array.from({ length: initialRing });
  /** The oldest frame's number; its place in the ring is the number modulo the ring's size. */
  #first = 0;
  /** Frames in the ring, holes among them; the oldest is never a hole when a call begins. */
  #count = 0;
  #holes = 0;
  /** Bytes of all waiting frames, headers included. */
  #bytes = 0;
  #holeBytes = 0;
  /** Who has how much in here: since the queue became full, and until it is empty. */
  #shares: SourceShares | undefined;

  /** @param type of the frames that packets become */
  constructor(type: number, pool: SlabPool, limits: QueueLimits) {
    this.#type = type;
    this.#pool = pool;
    this.#limits = limits;
  }

  /** Packets that wait. */
  get count(): number {
    return this.#count - this.#holes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a packet, and drops others while the queue is over its limits. */
  push(source: Peer, packet: Buffer, start: number, end: number, now: number, observer: QueueObserver): void {
    const length = overheadOf(source) + end - start;
    const slab = this.#slabFor(length);
    let at = writeHeader(slab.buffer, slab.used, this.#type, length - headerLength);
    if (!source.anonymous) at += source.key.copy(slab.buffer, at);
    packet.copy(slab.buffer, at, start, end);
    slab.used += length;
    this.#note(length, now, source);
    this.#bytes += length;
    while (this.#bytes > this.#limits.maxBytes && this.count > this.#limits.minPackets) {
      this.#makeRoom(observer);
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
    while (this.#count > 0 && (this.#times[this.#at(this.#first)] as number) < oldest) this.#drop(observer);
    if (this.#count === 0) return undefined;
    this.#leaveEmptySlabs();
    const slab = this.#slabs[0] as Slab;
    this.#lent = slab;
    const start = this.#head;
    let end = start;
    while (end < slab.used) {
      const index = this.#at(this.#first);
      const length = this.#lengths[index] as number;
      if (end > start && end + length - start > maxBytes) break;
      const source = this.#sources[index];
      if (source === undefined) break; // A hole: the piece ends here.
      const waited = now - (this.#times[index] as number);
      end += length;
      this.#shift();
      observer.sent(source, length - overheadOf(source), waited);
    }
    this.#passHoles();
    return slab.buffer.subarray(start, end);
  }

  /** Says that no socket uses any longer what was taken: memory without waiting frames goes back to the pool. */
  release(): void {
    const lent = this.#lent;
    this.#lent = undefined;
    if (lent !== undefined && !this.#slabs.includes(lent)) this.#pool.give(lent);
    this.#leaveLastSlab();
  }

  /** Drops the oldest packets until memory comes free: a slab goes back to the pool, or nothing is left. */
  shed(observer: QueueObserver): void {
    const before = this.#pool.bytesOut;
    while (this.#count > 0 && this.#pool.bytesOut === before) {
      this.#drop(observer);
      this.#leaveEmptySlabs();
    }
    this.#leaveLastSlab();
  }

  /** Drops everything that waits, for good: the socket is gone. */
  clear(observer: QueueObserver): void {
    while (this.#count > 0) this.#drop(observer);
    this.#leaveLastSlab();
    this.#slabs = [];
    if (this.#lent !== undefined) this.#pool.lose();
    this.#lent = undefined;
  }

  /** Drops one packet, so that the newest finds room. */
  #makeRoom(observer: QueueObserver): void {
    if (this.#limits.shed === "oldest") {
      this.#drop(observer);
      return;
    }
    this.#shares ??= this.#divide();
    const number = this.#shares.oldestOfHeaviest() ?? this.#first;
    if (number === this.#first) this.#drop(observer);
    else this.#punch(number, observer);
  }

  /** Drops the oldest packet; there is one. */
  #drop(observer: QueueObserver): void {
    const index = this.#at(this.#first);
    const source = this.#sources[index] as Peer;
    const bytes = (this.#lengths[index] as number) - overheadOf(source);
    this.#shift();
    this.#passHoles();
    observer.dropped(source, bytes);
  }

  /** Drops a packet from the midst of the others, which leaves a hole. Many holes are a waste: then the rest moves together. */
  #punch(number: number, observer: QueueObserver): void {
    const index = this.#at(number);
    const length = this.#lengths[index] as number;
    const source = this.#sources[index] as Peer;
    this.#sources[index] = undefined;
    this.#holes++;
    this.#holeBytes += length;
    this.#bytes -= length;
    this.#shares?.remove(source, length);
    observer.dropped(source, length - overheadOf(source));
    if (this.#holeBytes > Math.max(this.#bytes, slabSize)) this.#compact();
  }

  /** Takes the oldest frame, which is no hole, out of the books. */
  #shift(): void {
    this.#leaveEmptySlabs();
    const index = this.#at(this.#first);
    const length = this.#lengths[index] as number;
    this.#shares?.remove(this.#sources[index] as Peer, length);
    this.#sources[index] = undefined;
    this.#bytes -= length;
    this.#advance(length);
    if (this.#count === 0) this.#shares = undefined;
  }

  /** After this the oldest frame, if there is one, is no hole. */
  #passHoles(): void {
    while (this.#holes > 0 && this.#sources[this.#at(this.#first)] === undefined) {
      this.#leaveEmptySlabs();
      const length = this.#lengths[this.#at(this.#first)] as number;
      this.#holes--;
      this.#holeBytes -= length;
      this.#advance(length);
    }
  }

  #advance(length: number): void {
    this.#first++;
    this.#count--;
    this.#head += length;
  }

  /** Moves on from slabs whose frames are all sent or dropped, but keeps the last one, which is still written to. */
  #leaveEmptySlabs(): void {
    while (this.#slabs.length > 1 && this.#head === (this.#slabs[0] as Slab).used) {
      this.#abandon(this.#slabs.shift() as Slab);
      this.#head = 0;
    }
  }

  /** Gives up the last slab too if nothing waits and no socket uses it. */
  #leaveLastSlab(): void {
    if (this.#count > 0 || this.#slabs.length === 0) return;
    this.#leaveEmptySlabs();
    if (this.#slabs[0] === this.#lent) return;
    this.#pool.give(this.#slabs.pop() as Slab);
    this.#head = 0;
  }

  #slabFor(length: number): Slab {
    const last = this.#slabs.at(-1);
    if (last !== undefined && last.used + length <= slabSize) return last;
    const slab = this.#pool.take();
    this.#slabs.push(slab);
    return slab;
  }

  /** The books on who has how much, from what waits now. */
  #divide(): SourceShares {
    const shares = new SourceShares();
    for (let number = this.#first; number < this.#first + this.#count; number++) {
      const index = this.#at(number);
      const source = this.#sources[index];
      if (source !== undefined) shares.add(source, number, this.#lengths[index] as number);
    }
    return shares;
  }

  /** Moves the frames that wait to slabs without holes, and to the front of the ring. */
  #compact(): void {
    const slabs = this.#slabs;
    const end = this.#first + this.#count;
    let at = this.#head;
    this.#slabs = [];
    this.#head = 0;
    this.#count = 0;
    this.#holes = 0;
    this.#holeBytes = 0;
    this.#shares = new SourceShares();
    let from = slabs.shift() as Slab;
    for (let number = this.#first; number < end; number++) {
      if (at === from.used) {
        this.#abandon(from);
        from = slabs.shift() as Slab;
        at = 0;
      }
      const index = this.#at(number);
      const length = this.#lengths[index] as number;
      const source = this.#sources[index];
      if (source !== undefined) {
        this.#sources[index] = undefined;
        const to = this.#slabFor(length);
        from.buffer.copy(to.buffer, to.used, at, at + length);
        to.used += length;
        this.#note(length, this.#times[index] as number, source);
      }
      at += length;
    }
    this.#abandon(from);
  }

  /** Gives a slab back, unless a socket uses it: then `release` does. */
  #abandon(slab: Slab): void {
    if (slab !== this.#lent) this.#pool.give(slab);
  }

  /** Enters a frame into the ring as the newest, whose place in memory has been seen to. */
  #note(length: number, now: number, source: Peer): void {
    if (this.#count === this.#lengths.length) this.#growRing();
    const number = this.#first + this.#count;
    const index = this.#at(number);
    this.#lengths[index] = length;
    this.#times[index] = now;
    this.#sources[index] = source;
    this.#count++;
    this.#shares?.add(source, number, length);
  }

  /** Where the ring has a frame, given by its number. */
  #at(number: number): number {
    return number & (this.#lengths.length - 1);
  }

  #growRing(): void {
    const size = this.#lengths.length;
    const lengths = new Uint32Array(2 * size);
    const times = new Float64Array(2 * size);
    const sources: (Peer | undefined)[] = Array.from({ length: 2 * size });
    for (let number = this.#first; number < this.#first + size; number++) {
      const [from, to] = [number & (size - 1), number & (2 * size - 1)];
      lengths[to] = this.#lengths[from] as number;
      times[to] = this.#times[from] as number;
      sources[to] = this.#sources[from];
    }
    this.#lengths = lengths;
    this.#times = times;
    this.#sources = sources;
  }
}

/** What comes before the packet: the header, and the source's key if there is one. */
function overheadOf(source: Peer): number {
  return headerLength + (source.anonymous ? 0 : keyLength);
}
