/**
 * A key in the region: its connections to this relay, the relays of the mesh that it can be reached through, and who is
 * told when it leaves.
 */
import { isZeroKey, type NodeKey } from "../crypto/keys.ts";

/** As much of a client's connection as others see. */
export interface Connection {
  /** Queues a packet from `source` for this client: `packet[start, end)`, copied now. */
  deliver(source: Peer, disco: boolean, packet: Buffer, start: number, end: number, now: number): void;
  /** Tells the client that a peer it has heard from left the region. It is told again if the peer returns and leaves. */
  peerGone(peer: Peer): void;
  /** Tells the client that the peer it asked for is not here, so often and no more. */
  peerNotHere(key: Buffer, now: number): void;
  /** The PeerPresent frame that tells of this connection. */
  presence(): Buffer;
  /** Ends the connection: a relay of the mesh demands it. */
  expel(): void;
  /** Tells the client how many connections now use its key, itself included. */
  shares(connections: number): void;
}

/** A way to another relay of the mesh. */
export interface Forwarder {
  /** Passes a packet on: `payload[start, end)` is destination key(32) and packet, copied now. */
  forward(source: Peer, disco: boolean, payload: Buffer, start: number, end: number, now: number): void;
}

export class Peer {
  readonly key: NodeKey;
  /** True for the all-zero key: a packet from it is delivered without a source. */
  readonly anonymous: boolean;
  /** Clients that have received a packet from this key and are told when it is gone from the region. */
  readonly watchers = new Set<Connection>();
  /** `listed` while the router knows it, `left` once it has gone from the region. */
  place: "new" | "listed" | "left" = "new";
  readonly #connections = new Set<Connection>();
  /**
   * Who spoke, oldest first, each once. As in derper it begins with the first connection, and every further one but the
   * second is in it from its registration on.
   */
  #history: Connection[] = [];
  #active: Connection | undefined;
  /** Oldest first. One way is used for as long as it is there, so that packets keep their order. */
  #forwarders: Forwarder[] = [];

  constructor(key: NodeKey) {
    this.key = key;
    this.anonymous = isZeroKey(key);
  }

  /**
   * The connection that packets for this key go to.
   *
   * Almost always there is one. More appear for a while when a client changes networks, or for good when a machine was
   * cloned with its key. None is closed for it: that made clones reconnect in hard loops. The newest connection is the
   * active one, and any that sends a frame takes that place ("last writer is active", derper's policy in production).
   */
  get active(): Connection | undefined {
    return this.#active;
  }

  /** Connections to this relay. */
  get size(): number {
    return this.#connections.size;
  }

  get connections(): Iterable<Connection> {
    return this.#connections;
  }

  /** The way to the relay that has the client. A client that is connected here is served here. */
  get forwarder(): Forwarder | undefined {
    return this.#forwarders[0];
  }

  get forwarders(): number {
    return this.#forwarders.length;
  }

  /** True while the key can be reached, here or through another relay. */
  get present(): boolean {
    return this.#connections.size > 0 || this.#forwarders.length > 0;
  }

  add(connection: Connection): void {
    this.#connections.add(connection);
    this.#active = connection;
    if (this.#connections.size !== 2) this.#history.push(connection);
  }

  /** Notes that a connection has sent a frame. */
  speak(connection: Connection): void {
    if (this.#active === connection) return;
    this.#active = connection;
    this.#history = this.#history.filter((other) => other !== connection);
    this.#history.push(connection);
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection);
    this.#history = this.#history.filter((other) => other !== connection);
    if (this.#connections.size === 1) {
      [this.#active] = this.#connections;
      this.#history = [...this.#connections];
    } else if (this.#active === connection) {
      this.#active = this.#history.at(-1);
    }
  }

  /** Adds a way, unless it is known. */
  addForwarder(forwarder: Forwarder): void {
    if (!this.#forwarders.includes(forwarder)) this.#forwarders.push(forwarder);
  }

  /** @returns false if the way was not known */
  removeForwarder(forwarder: Forwarder): boolean {
    const before = this.#forwarders.length;
    this.#forwarders = this.#forwarders.filter((other) => other !== forwarder);
    return this.#forwarders.length < before;
  }
}
