/**
 * A connection of ours to another relay of the region, of which we are a client with the mesh key: it tells who is
 * there, and passes on what our clients send to them.
 *
 * Like a session it opens no socket and reads no clock.
 */
import type { NodeKey } from "../crypto/keys.ts";
import { FrameType, keyLength } from "../protocol/frame.ts";
import { encodeFrame } from "../protocol/writer.ts";
import { Outbox, type OutboxObserver } from "./outbox.ts";
import type { Forwarder, Peer } from "./peer.ts";
import { type Flushable, noteBlocked, type Shared, type Transport } from "./session-context.ts";

/** A relay sends a KeepAlive each minute; one that is silent for so long is dead. */
const silentMs = 120_000;
/** A relay that takes nothing for so long is given up, so that its clients can be reached by another way. */
const stuckMs = 5_000;

export class MeshLink implements Forwarder, Flushable, OutboxObserver {
  readonly #shared: Shared;
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  /** Keys that the other relay has, as latin1 text. */
  readonly #keys = new Map<string, NodeKey>();
  #heardBy: number;
  #flushWanted = false;
  #closed = false;

  constructor(shared: Shared, transport: Transport, now: number) {
    this.#shared = shared;
    this.#transport = transport;
    this.#heardBy = now + silentMs;
    this.#outbox = new Outbox(transport, FrameType.forwardPacket, shared.pool, shared.limits.queue, this);
    this.send(encodeFrame(FrameType.watchConns));
  }

  /** Keys that can be reached through this link. */
  get size(): number {
    return this.#keys.size;
  }

  /** Bytes of the packets that wait for the other relay. */
  get queuedBytes(): number {
    return this.#outbox.bytes;
  }

  /** Gives up some of what waits, for memory is short. */
  shed(): void {
    this.#outbox.shed();
  }

  /** Any bytes came. */
  heard(now: number): void {
    this.#heardBy = now + silentMs;
  }

  /** The other relay has a client. */
  present(key: NodeKey): void {
    if (this.#closed) return;
    this.#keys.set(key.toString("latin1"), key);
    this.#shared.router.addForwarder(key, this);
  }

  /** It has it no longer. Presents and gones do not come in pairs: a second connection of a key is present again. */
  absent(key: NodeKey): void {
    if (this.#keys.delete(key.toString("latin1"))) this.#shared.router.removeForwarder(key, this);
  }

  forward(source: Peer, disco: boolean, payload: Buffer, start: number, end: number, now: number): void {
    this.#outbox.pushPacket(source, disco, payload, start, end, now);
    this.#wantFlush();
  }

  /** Sends a frame that is not a packet. */
  send(frame: Buffer): void {
    this.#outbox.pushControl(frame);
    this.#wantFlush();
  }

  flush(now: number): void {
    this.#flushWanted = false;
    if (this.#closed) return;
    this.#outbox.flush(now);
    noteBlocked(this, this.#outbox, this.#shared);
  }

  handleDrained(now: number): void {
    if (this.#closed) return;
    this.#outbox.handleDrained(now);
    noteBlocked(this, this.#outbox, this.#shared);
  }

  nextDeadline(): number {
    return Math.min(this.#heardBy, this.#outbox.blockedSince + stuckMs);
  }

  tick(now: number): void {
    if (now >= this.#outbox.blockedSince + stuckMs) this.close("write-timeout");
    else if (now >= this.#heardBy) this.close("silent");
  }

  /** Ends the link: what was reachable through it alone has left the region. */
  close(reason: "end" | "write-timeout" | "silent" | "shutdown"): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const key of this.#keys.values()) this.#shared.router.removeForwarder(key, this);
    this.#keys.clear();
    this.#outbox.clear();
    this.#shared.ended(this);
    this.#transport.close(reason);
  }

  // OutboxObserver: the packet was counted when it was handed to us.

  sent(): void {}

  /** Two keys go with a forwarded packet: the source's is overhead, the destination's is in what was pushed. */
  dropped(_source: Peer, disco: boolean, bytes: number): void {
    this.#shared.counters.drop(this.#closed ? "gone_disconnected" : "queue_head", disco, bytes - keyLength);
  }

  #wantFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    this.#shared.turn.flushLater(this);
  }
}
