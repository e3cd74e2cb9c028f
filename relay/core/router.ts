/** Who is in the region, and the way of a packet from one client to another. */
import { type NodeKey, nodeKey } from "../crypto/keys.ts";
import { keyLength, looksLikeDisco } from "../protocol/frame.ts";
import type { Counters } from "./counters.ts";
import { type Connection, type Forwarder, Peer } from "./peer.ts";
import type { Trace } from "./trace.ts";

/** A relay of the mesh, or a monitor with its key, that is told who connects here and who leaves. */
export interface PresenceWatcher {
  /** `frame` is PeerPresent. */
  present(frame: Buffer): void;
  /** The last connection of the key has ended. */
  absent(key: NodeKey): void;
}

/** How many keys are in the region. */
export interface Population {
  /** Connected to this relay. */
  readonly local: number;
  /** Reachable through another relay; also those that are connected here too. */
  readonly remote: number;
  readonly total: number;
}

export class Router {
  readonly #counters: Counters;
  readonly #trace: Trace;
  /** By the key's bytes as latin1 text: the cheapest string that a buffer can be looked up by. */
  readonly #peers = new Map<string, Peer>();
  readonly #watchers = new Set<PresenceWatcher>();

  constructor(counters: Counters, trace: Trace = {}) {
    this.#counters = counters;
    this.#trace = trace;
  }

  /** Counts by going through all keys: for a scrape, not for a packet. */
  get population(): Population {
    let [local, remote, total] = [0, 0, 0];
    for (const peer of this.#peers.values()) {
      if (peer.size > 0) local++;
      if (peer.forwarders > 0) remote++;
      if (peer.present) total++;
    }
    return { local, remote, total };
  }

  /** Relays and monitors that are told who comes and goes. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Connections of all keys: counted, not remembered, to check the gauge by. */
  countConnections(): number {
    let count = 0;
    for (const peer of this.#peers.values()) count += peer.size;
    return count;
  }

  /** What is known of a key, given as 32 bytes at `start`. */
  find(bytes: Buffer, start: number): Peer | undefined {
    return this.#peers.get(bytes.toString("latin1", start, start + keyLength));
  }

  /** Makes a connection reachable under its key. From now on packets may come to it. */
  register(connection: Connection, key: NodeKey): Peer {
    const peer = this.find(key, 0) ?? this.#list(new Peer(key));
    if (peer.size > 0) this.#counters.duplicateConnections++;
    peer.add(connection);
    if (peer.size === 2) this.#counters.duplicateKeys++;
    if (peer.size > 1) tellSharers(peer);
    return peer;
  }

  /** Tells the mesh of a connection that has been registered. */
  announce(connection: Connection): void {
    for (const watcher of this.#watchers) watcher.present(connection.presence());
  }

  /** Takes a connection out. */
  unregister(connection: Connection, peer: Peer): void {
    peer.remove(connection);
    if (peer.size === 1) this.#counters.duplicateKeys--;
    if (peer.size > 0) {
      tellSharers(peer);
      return;
    }
    for (const watcher of this.#watchers) watcher.absent(peer.key);
    if (!peer.present) this.#retire(peer);
  }

  /** Tells a watcher who is connected here now, and from now on who comes and goes. */
  watch(watcher: PresenceWatcher): void {
    for (const { active } of this.#peers.values()) {
      if (active !== undefined) watcher.present(active.presence());
    }
    this.#watchers.add(watcher);
  }

  unwatch(watcher: PresenceWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** Another relay has a client with this key. */
  addForwarder(key: NodeKey, forwarder: Forwarder): void {
    const peer = this.find(key, 0) ?? this.#list(new Peer(key));
    const before = peer.forwarders;
    peer.addForwarder(forwarder);
    if (before === 1 && peer.forwarders === 2) this.#counters.multiForwarderCreated++;
  }

  /** The other relay has it no longer, or is itself gone. */
  removeForwarder(key: NodeKey, forwarder: Forwarder): void {
    const peer = this.find(key, 0);
    if (peer === undefined || !peer.removeForwarder(forwarder)) {
      this.#counters.forwarderDeleteOther++;
      return;
    }
    if (peer.forwarders === 1) this.#counters.multiForwarderDeleted++;
    if (!peer.present) this.#retire(peer);
  }

  /**
   * What is known now of a source that was seen earlier, so that somebody can wait for its leaving.
   *
   * @returns undefined if it has left the region meanwhile
   */
  current(source: Peer): Peer | undefined {
    if (source.place === "listed") return source;
    return this.find(source.key, 0) ?? (source.place === "left" ? undefined : this.#list(source));
  }

  /** Forgets a key that is not here once nobody waits for its leaving. */
  forget(peer: Peer): void {
    if (!peer.present && peer.watchers.size === 0) this.#unlist(peer, "new");
  }

  /** Ends every connection of a key. */
  expel(key: Buffer): void {
    for (const connection of this.find(key, 0)?.connections ?? []) connection.expel();
  }

  /**
   * Passes on a packet of a client: `payload[start, end)` is destination key(32) and packet, as in SendPacket.
   *
   * @param recent the destination of the sender's previous packet, which is mostly this one's as well
   * @returns what is known of the destination
   */
  route(
    from: Connection,
    source: Peer,
    recent: Peer | undefined,
    payload: Buffer,
    start: number,
    end: number,
    now: number,
  ): Peer | undefined {
    const packet = start + keyLength;
    const length = end - packet;
    const disco = looksLikeDisco(payload, packet, end);
    this.#counters.bytesReceived += length;
    if (disco) this.#counters.packetsReceived.disco++;
    else this.#counters.packetsReceived.other++;
    const same = recent?.place === "listed" && sameKey(recent.key, payload, start);
    const peer = same ? recent : this.find(payload, start);
    if (peer?.active !== undefined) {
      peer.active.deliver(source, disco, payload, packet, end, now);
    } else if (peer !== undefined && peer.size > 0) {
      this.#counters.drop("dup_client", disco, length);
      this.#trace.dropped?.("dup_client", source.key, peer.key);
    } else if (peer?.forwarder !== undefined) {
      this.#counters.packetsForwardedOut++;
      peer.forwarder.forward(source, disco, payload, start, end, now);
    } else {
      this.#counters.drop("unknown_dest", disco, length);
      this.#trace.dropped?.("unknown_dest", source.key, payload.subarray(start, packet));
      // Only discovery asks "are you there?"; a stream of data to a peer that left must not cause a stream of answers.
      if (disco) from.peerNotHere(payload.subarray(start, packet), now);
    }
    return peer;
  }

  /**
   * Delivers a packet that another relay passed on: `payload[start, end)` is source key(32), destination key(32) and
   * packet, as in ForwardPacket. It is never passed on again, whatever other relays are known: that would be a loop.
   */
  deliverForwarded(from: Connection, payload: Buffer, start: number, end: number, now: number): void {
    const destination = start + keyLength;
    const packet = destination + keyLength;
    const disco = looksLikeDisco(payload, packet, end);
    this.#counters.packetsForwardedIn++;
    const peer = this.find(payload, destination);
    if (peer?.active !== undefined) {
      const source = this.find(payload, start) ?? new Peer(nodeKey(payload.subarray(start, destination)));
      peer.active.deliver(source, disco, payload, packet, end, now);
    } else if (peer !== undefined && peer.size > 0) {
      this.#counters.drop("dup_client", disco, end - packet);
      this.#trace.dropped?.("dup_client", payload.subarray(start, destination), peer.key);
    } else {
      this.#counters.drop("unknown_dest_on_fwd", disco, end - packet);
      this.#trace.dropped?.(
        "unknown_dest_on_fwd",
        payload.subarray(start, destination),
        payload.subarray(destination, packet),
      );
      if (disco) from.peerNotHere(payload.subarray(destination, packet), now);
    }
  }

  #list(peer: Peer): Peer {
    peer.place = "listed";
    this.#peers.set(peer.key.toString("latin1"), peer);
    return peer;
  }

  #unlist(peer: Peer, place: "new" | "left"): void {
    peer.place = place;
    this.#peers.delete(peer.key.toString("latin1"));
  }

  /** The key has left the region: all who have heard from it are told. */
  #retire(peer: Peer): void {
    this.#unlist(peer, "left");
    for (const watcher of peer.watchers) watcher.peerGone(peer);
    peer.watchers.clear();
  }
}

function tellSharers(peer: Peer): void {
  for (const connection of peer.connections) connection.shares(peer.size);
}

/** On both runtimes a loop of this length is quicker than a call of `compare`. */
function sameKey(key: Buffer, bytes: Buffer, start: number): boolean {
  for (let at = 0; at < keyLength; at++) if (key[at] !== bytes[start + at]) return false;
  return true;
}
