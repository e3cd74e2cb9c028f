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

/** Largest write after the socket was full: one TLS record. */
const pieceSize = 16_384;

export class Outbox {
  readonly #pipe: Pipe;
  readonly #type: number;
  readonly #pool: SlabPool;
  readonly #limits: QueueLimits;
  readonly #disco: QueueObserver;
  readonly #other: QueueObserver;
  /** Frames that are not packets: never dropped, sent first. */
  #control: Buffer[] = [];
  /** Disco packets and others do not push each other out. A client that gets none has no queue. */
  #discoQueue: PacketQueue | undefined;
  #otherQueue: PacketQueue | undefined;
  /**
   * Whose turn it is. Disco goes first, for a peer is waiting for it to find a direct path; but its pieces are a quarter
   * as long as the others', so that a flood of it leaves them their part (repair Q18).
   */
  #discoNext = true;
  #blocked = false;

  /** @param type of the frames that packets become: RecvPacket for a client, ForwardPacket for a relay */
  constructor(pipe: Pipe, type: number, pool: SlabPool, limits: QueueLimits, observer: OutboxObserver) {
    this.#pipe = pipe;
    this.#type = type;
    this.#pool = pool;
    this.#limits = limits;
    const sent = observer.sent.bind(observer);
    this.#disco = { sent, dropped: (source, bytes) => observer.dropped(source, true, bytes) };
    this.#other = { sent, dropped: (source, bytes) => observer.dropped(source, false, bytes) };
  }

  /** True while the socket holds bytes that it could not pass on. */
  get blocked(): boolean {
    return this.#blocked;
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
    if (disco) {
      this.#discoQueue ??= new PacketQueue(this.#type, this.#pool, this.#limits);
      this.#discoQueue.push(source, packet, start, end, now, this.#disco);
      return;
    }
    this.#otherQueue ??= new PacketQueue(this.#type, this.#pool, this.#limits);
    this.#otherQueue.push(source, packet, start, end, now, this.#other);
    // A turn may bring more than one slab; what is whole need not wait for the turn's end.
    if (!this.#blocked && this.#otherQueue.bytes >= slabSize) this.flush(now);
  }

  /** Writes what waits, as far as the socket takes it. */
  flush(now: number): void {
    this.#send(slabSize, now);
  }

  /** The socket has passed on everything that it held. */
  handleDrained(now: number): void {
    this.#blocked = false;
    this.#discoQueue?.release();
    this.#otherQueue?.release();
    this.#send(pieceSize, now);
  }

  /** Bytes of the packets that wait. */
  get bytes(): number {
    return (this.#discoQueue?.bytes ?? 0) + (this.#otherQueue?.bytes ?? 0);
  }

  /** Drops the oldest packets of the longer queue until it gives memory back. */
  shed(): void {
    const [disco, other] = [this.#discoQueue, this.#otherQueue];
    if ((disco?.bytes ?? 0) > (other?.bytes ?? 0)) disco?.shed(this.#disco);
    else other?.shed(this.#other);
  }

  /** Drops what waits: the connection is gone. */
  clear(): void {
    this.#control = [];
    this.#discoQueue?.clear(this.#disco);
    this.#otherQueue?.clear(this.#other);
  }

  #send(maxPiece: number, now: number): void {
    if (this.#control.length > 0 && !this.#blocked) {
      const frames = this.#control.length === 1 ? (this.#control[0] as Buffer) : Buffer.concat(this.#control);
      this.#control = [];
      this.#blocked = !this.#pipe.write(frames);
    }
    let idle = 0;
    while (!this.#blocked && idle < 2) {
      const sent = this.#discoNext
        ? this.#sendPiece(this.#discoQueue, this.#disco, maxPiece / 4, now)
        : this.#sendPiece(this.#otherQueue, this.#other, maxPiece, now);
      idle = sent ? 0 : idle + 1;
      this.#discoNext = !this.#discoNext;
    }
    if (!this.#blocked) this.#discoNext = true;
  }

  /** @returns false if the queue has nothing to send */
  #sendPiece(
    queue: PacketQueue | undefined,
    observer: QueueObserver,
    maxPiece: number,
    now: number,
  ): boolean {
    const piece = queue?.take(maxPiece, now, observer);
    if (piece !== undefined && !this.#pipe.write(piece)) this.#blocked = true;
    else queue?.release();
    return piece !== undefined;
  }
}
