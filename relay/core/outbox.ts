/**
 * What waits to be written to one client, and when it is written.
 *
 * While the socket takes what it is given, everything for a client in one turn of the event loop leaves together. When
 * it stops taking (the client reads slower than others send), packets queue up here, bounded in bytes and age, and go
 * out in small pieces, so that progress can be told from a dead client.
 */
import type { Peer } from "./peer.ts";
import { PacketQueue, type QueueLimits, type QueueObserver } from "./packet-queue.ts";
import { type SlabPool, slabSize } from "./slab-pool.ts";

/** Where an outbox writes to. */
export interface Pipe {
  /**
   * Hands bytes to the socket.
   *
   * @returns true if they were taken whole and `bytes` may be reused; false if the socket holds on to `bytes` until it
   *   calls `handleDrained`
   */
  write(bytes: Buffer): boolean;
}

/** Told what became of the packets. */
export interface OutboxObserver {
  sent(source: Peer, bytes: number, waitedMs: number): void;
  dropped(source: Peer, disco: boolean, bytes: number): void;
}

/** Packets of one kind. */
interface Lane {
  readonly queue: PacketQueue;
  readonly observer: QueueObserver;
}

/** Largest write after the socket was full: one TLS record. */
const pieceSize = 16_384;

export class Outbox {
  readonly #pipe: Pipe;
  readonly #type: number;
  readonly #pool: SlabPool;
  readonly #limits: QueueLimits;
  readonly #observer: OutboxObserver;
  /** Frames that are not packets: never dropped, sent first. */
  #control: Buffer[] = [];
  /** Disco packets and others do not push each other out. A client that gets none has no lane. */
  #disco: Lane | undefined;
  #other: Lane | undefined;
  /**
   * Whose turn it is. Disco goes first, for a peer is waiting for it to find a direct path; but its pieces are a quarter
   * as long as the others', so that a flood of it leaves them their part (repair Q18).
   */
  #discoNext = true;
  /** Infinity while the socket takes what it is given. */
  #blockedSince = Number.POSITIVE_INFINITY;

  /** @param type of the frames that packets become: RecvPacket for a client, ForwardPacket for a relay */
  constructor(pipe: Pipe, type: number, pool: SlabPool, limits: QueueLimits, observer: OutboxObserver) {
    this.#pipe = pipe;
    this.#type = type;
    this.#pool = pool;
    this.#limits = limits;
    this.#observer = observer;
  }

  /** True while the socket holds bytes that it could not pass on. */
  get blocked(): boolean {
    return this.#blockedSince < Number.POSITIVE_INFINITY;
  }

  /** Since when it has not passed on anything, in the caller's time; Infinity while it is not blocked. */
  get blockedSince(): number {
    return this.#blockedSince;
  }

  /** Frames that wait and are no packets. */
  get controlFrames(): number {
    return this.#control.length;
  }

  pushControl(frame: Buffer): void {
    this.#control.push(frame);
  }

  /** Adds a packet from `source`: `packet[start, end)`, copied now. */
  pushPacket(source: Peer, disco: boolean, packet: Buffer, start: number, end: number, now: number): void {
    const lane = disco ? (this.#disco ??= this.#openLane(true)) : (this.#other ??= this.#openLane(false));
    lane.queue.push(source, packet, start, end, now, lane.observer);
    // A turn may bring more than one slab; what is whole need not wait for the turn's end.
    if (!this.blocked && lane.queue.bytes >= slabSize) this.flush(now);
  }

  /** Writes what waits, as far as the socket takes it. */
  flush(now: number): void {
    this.#send(slabSize, now);
  }

  /** The socket has passed on everything that it held. */
  handleDrained(now: number): void {
    this.#blockedSince = Number.POSITIVE_INFINITY;
    this.#disco?.queue.release();
    this.#other?.queue.release();
    this.#send(pieceSize, now);
  }

  /** Bytes of the packets that wait. */
  get bytes(): number {
    return (this.#disco?.queue.bytes ?? 0) + (this.#other?.queue.bytes ?? 0);
  }

  /** Drops the oldest packets of the longer queue until it gives memory back. */
  shed(): void {
    const [disco, other] = [this.#disco, this.#other];
    const longer = (disco?.queue.bytes ?? 0) > (other?.queue.bytes ?? 0) ? disco : other;
    longer?.queue.shed(longer.observer);
  }

  /** Drops what waits: the connection is gone. */
  clear(): void {
    this.#control = [];
    for (const lane of [this.#disco, this.#other]) lane?.queue.clear(lane.observer);
  }

  #openLane(disco: boolean): Lane {
    const observer = this.#observer;
    return {
      queue: new PacketQueue(this.#type, this.#pool, this.#limits),
      observer: {
        sent: observer.sent.bind(observer),
        dropped: (source, bytes) => observer.dropped(source, disco, bytes),
      },
    };
  }

  #send(maxPiece: number, now: number): void {
    if (this.#control.length > 0 && !this.blocked) {
      const frames = this.#control.length === 1 ? (this.#control[0] as Buffer) : Buffer.concat(this.#control);
      this.#control = [];
      if (!this.#pipe.write(frames)) this.#blockedSince = now;
    }
    let idle = 0;
    while (!this.blocked && idle < 2) {
      const sent = this.#discoNext
        ? this.#sendPiece(this.#disco, maxPiece / 4, now)
        : this.#sendPiece(this.#other, maxPiece, now);
      idle = sent ? 0 : idle + 1;
      this.#discoNext = !this.#discoNext;
    }
    if (!this.blocked) this.#discoNext = true;
  }

  /** @returns false if the lane has nothing to send */
  #sendPiece(lane: Lane | undefined, maxPiece: number, now: number): boolean {
    const piece = lane?.queue.take(maxPiece, now, lane.observer);
    if (piece !== undefined && !this.#pipe.write(piece)) this.#blockedSince = now;
    else lane?.queue.release();
    return piece !== undefined;
  }
}
