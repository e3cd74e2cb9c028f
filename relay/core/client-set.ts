/**
 * The connections of one key in this relay, and which of them gets its packets.
 *
 * Almost always there is one. More appear for a while when a client changes networks, or for good when a machine was
 * cloned with its key. None is closed for it: that made clones reconnect in hard loops. The newest connection is the
 * active one, and any that sends a frame takes that place ("last writer is active", derper's policy in production).
 */
import type { NodeKey } from "../crypto/keys.ts";

/** As much of a client's connection as others see. */
export interface Connection {
  /** Queues a packet from `source` for this client: `packet[start, end)`, copied now. */
  deliver(source: ClientSet, disco: boolean, packet: Buffer, start: number, end: number, now: number): void;
  /** Tells the client that a peer it has heard from left the region. It is told again if the peer returns and leaves. */
  peerGone(peer: ClientSet): void;
  /** Tells the client that the peer it asked for is not here, so often and no more. */
  peerNotHere(key: Buffer, now: number): void;
}

export class ClientSet {
  readonly key: NodeKey;
  /** Clients that have received a packet from this key and are told when it is gone from the region. */
  readonly watchers = new Set<Connection>();
  readonly #connections = new Set<Connection>();
  /**
   * Who spoke, oldest first, each once. As in derper it begins with the first connection, and every further one but the
   * second is in it from its registration on.
   */
  #history: Connection[] = [];
  #active: Connection | undefined;

  constructor(key: NodeKey) {
    this.key = key;
  }

  /** The connection that packets for this key go to. */
  get active(): Connection | undefined {
    return this.#active;
  }

  get size(): number {
    return this.#connections.size;
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
}
