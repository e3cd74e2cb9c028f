/** The relay without its sockets: all sessions, the router between them, and the clock that drives them. */
import { type NodeKey, type PrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { Counters } from "./counters.ts";
import { defaultQueueLimits } from "./packet-queue.ts";
import { Router } from "./router.ts";
import { type CloseReason, Session, type SessionLimits, type Shared, type Transport } from "./session.ts";
import { SlabPool } from "./slab-pool.ts";

/** derper's limits, but for the queue (repair Q18). */
export const defaultLimits: SessionLimits = {
  loginMs: 10_000,
  writeMs: 2_000,
  silentMs: 15_000,
  queue: defaultQueueLimits,
};

export interface CoreOptions {
  readonly privateKey: PrivateKey;
  readonly limits?: Partial<SessionLimits>;
  /** Cryptographically random bytes. */
  readonly random: (length: number) => Buffer;
  /** Asks for one call of `flush` at the end of the current turn of the event loop. */
  readonly requestFlush: () => void;
}

export class RelayCore {
  readonly publicKey: NodeKey;
  readonly counters = new Counters();
  readonly router = new Router(this.counters);
  readonly #sessions = new Set<Session>();
  readonly #shared: Shared;
  #toFlush: Session[] = [];

  constructor({ privateKey, limits, random, requestFlush }: CoreOptions) {
    this.publicKey = publicKeyOf(privateKey);
    this.#shared = {
      privateKey,
      publicKey: this.publicKey,
      router: this.router,
      counters: this.counters,
      pool: new SlabPool(),
      limits: { ...defaultLimits, ...limits },
      random,
      flushLater: (session) => {
        if (this.#toFlush.push(session) === 1) requestFlush();
      },
      ended: (session) => this.#sessions.delete(session),
    };
  }

  /** Connections, logged in or not. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Begins a connection.
   *
   * @param head what goes before ServerKey: the HTTP answer, or nothing at fast start
   * @param notIdeal the client named another node as its ideal one
   */
  open(transport: Transport, head: Buffer, notIdeal: boolean, now: number): Session {
    const session = new Session(this.#shared, transport, notIdeal, now);
    this.#sessions.add(session);
    session.greet(head, now);
    return session;
  }

  /** Writes all that this turn has brought. */
  flush(now: number): void {
    const sessions = this.#toFlush;
    this.#toFlush = [];
    for (const session of sessions) session.flush(now);
  }

  /** Does what time has made due, for every session. To be called several times a second. */
  tick(now: number): void {
    for (const session of this.#sessions) {
      if (now >= session.nextDeadline()) session.tick(now);
    }
  }

  /** Ends every connection. */
  close(reason: CloseReason): void {
    for (const session of this.#sessions) session.close(reason);
  }
}
