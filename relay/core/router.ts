/** Who is connected, and the way of a packet from one client to another. */
import type { NodeKey } from "../crypto/keys.ts";
import { keyLength, looksLikeDisco } from "../protocol/frame.ts";
import { ClientSet, type Connection } from "./client-set.ts";
import type { Counters } from "./counters.ts";

export class Router {
  readonly #counters: Counters;
  /** By the key's bytes as latin1 text: the cheapest string that a buffer can be looked up by. */
  readonly #clients = new Map<string, ClientSet>();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Keys that have at least one connection. */
  get size(): number {
    return this.#clients.size;
  }

  /** The connections of a key, given as 32 bytes at `start`. */
  find(bytes: Buffer, start: number): ClientSet | undefined {
    return this.#clients.get(bytes.toString("latin1", start, start + keyLength));
  }

  /** Makes a connection reachable under its key. From now on packets may come to it. */
  register(connection: Connection, key: NodeKey): ClientSet {
    let clients = this.find(key, 0);
    if (clients === undefined) {
      clients = new ClientSet(key);
      this.#clients.set(key.toString("latin1"), clients);
    } else {
      this.#counters.duplicateConnections++;
    }
    clients.add(connection);
    return clients;
  }

  /** Takes a connection out. With the last one of a key, all who have heard from the key are told that it is gone. */
  unregister(connection: Connection, clients: ClientSet): void {
    clients.remove(connection);
    if (clients.size > 0) return;
    this.#clients.delete(clients.key.toString("latin1"));
    for (const watcher of clients.watchers) watcher.peerGone(clients);
    clients.watchers.clear();
  }

  /**
   * Passes on a packet: `payload[start, end)` is destination key(32) and packet, as in SendPacket.
   *
   * @param recent the destination of the sender's previous packet, which is mostly this one's as well
   * @returns the destination, if it is connected
   */
  route(
    from: Connection,
    source: ClientSet,
    recent: ClientSet | undefined,
    payload: Buffer,
    start: number,
    end: number,
    now: number,
  ): ClientSet | undefined {
    const packet = start + keyLength;
    const length = end - packet;
    const disco = looksLikeDisco(payload, packet, end);
    this.#counters.bytesReceived += length;
    if (disco) this.#counters.packetsReceived.disco++;
    else this.#counters.packetsReceived.other++;
    const same = recent !== undefined && recent.size > 0 && sameKey(recent.key, payload, start);
    const clients = same ? recent : this.find(payload, start);
    if (clients === undefined) {
      this.#counters.drop("unknown_dest", disco, length);
      // Only discovery asks "are you there?"; a stream of data to a peer that left must not cause a stream of answers.
      if (disco) from.peerNotHere(payload.subarray(start, packet), now);
    } else if (clients.active === undefined) {
      this.#counters.drop("dup_client", disco, length);
    } else {
      clients.active.deliver(source, disco, payload, packet, end, now);
    }
    return clients;
  }
}

function sameKey(key: Buffer, bytes: Buffer, start: number): boolean {
  return key.compare(bytes, start, start + keyLength) === 0;
}
