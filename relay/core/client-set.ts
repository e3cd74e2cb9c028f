/**
 * The connections of one key in this relay, and which of them gets its packets.
 *
 * Almost always there is one. More appear for a while when a client changes networks, or for good when a machine was
 * cloned with its key. None is closed for it: that made clones reconnect in hard loops. The newest connection is the
 * active one, and any that sends a frame takes that place ("last writer is active", derper's policy in production).
 */
import type { NodeKey } from "../crypto/keys.ts";
import type { Session } from "./session.ts";

export class ClientSet {
  readonly key: NodeKey;
  /** Clients that have received a packet from this key and are told when it is gone from the region. */
  readonly watchers = new Set<Session>();
  readonly #sessions = new Set<Session>();
  /**
   * Who spoke, oldest first, each once. As in derper it begins with the first connection, and every further one but the
   * second is in it from its registration on.
   */
  #history: Session[] = [];
  #active: Session | undefined;

  constructor(key: NodeKey) {
    this.key = key;
  }

  /** The connection that packets for this key go to. */
  get active(): Session | undefined {
    return this.#active;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get sessions(): Iterable<Session> {
    return this.#sessions;
  }

  add(session: Session): void {
    this.#sessions.add(session);
    this.#active = session;
    if (this.#sessions.size !== 2) this.#history.push(session);
  }

  /** Notes that a connection has sent a frame. */
  speak(session: Session): void {
    if (this.#active === session) return;
    this.#active = session;
    this.#history = this.#history.filter((other) => other !== session);
    this.#history.push(session);
  }

  remove(session: Session): void {
    this.#sessions.delete(session);
    this.#history = this.#history.filter((other) => other !== session);
    if (this.#sessions.size === 1) {
      [this.#active] = this.#sessions;
      this.#history = [...this.#sessions];
    } else if (this.#active === session) {
      this.#active = this.#history.at(-1);
    }
  }
}
