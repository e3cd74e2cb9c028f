/** The relay without its sockets: all sessions, the router between them, and the clock that drives them. */
import { isZeroKey, type NodeKey, type PrivateKey, publicKeyOf } from "../crypto/keys.ts";
import type { RateLimit } from "./byte-bucket.ts";
import { Counters } from "./counters.ts";
import { Departures } from "./departures.ts";
import { defaultQueueLimits } from "./packet-queue.ts";
import { MeshLink } from "./mesh-link.ts";
import { Router } from "./router.ts";
import { Session } from "./session.ts";
import type {
  Flushable,
  Gate,
  Origin,
  SessionLimits,
  Shared,
  Ticking,
  Transport,
} from "./session-context.ts";
import { SlabPool } from "./slab-pool.ts";
import type { Trace } from "./trace.ts";
import { Turn } from "./turn.ts";

/** Between two looks at what memory lies idle. */
const trimMs = 1_000;

/** derper's limits, but for the queue (repair Q18) and the connections of one key, which it does not limit. */
export const defaultLimits: SessionLimits = {
  loginMs: 10_000,
  writeMs: 2_000,
  meshWriteMs: 30_000,
  silentMs: 15_000,
  perKey: 32,
  queue: defaultQueueLimits,
};

export interface CoreOptions {
  readonly privateKey: PrivateKey;
  /** Decides who may come in; everybody who has a key by default. */
  readonly gate?: Gate | undefined;
  /** Decides the same of the relay's own probes. */
  readonly probeGate?: Gate | undefined;
  /** Keys of the region's mesh, 32 bytes each: whoever shows one is a relay. None by default. */
  readonly meshKeys?: readonly Buffer[];
  readonly limits?: Partial<SessionLimits>;
  /** All packets that wait may take so much memory, in bytes; beyond it the longest queue gives way. No limit by default. */
  readonly maxQueuedBytes?: number | undefined;
  /** Tells clients whose key is connected more than once; off by default, as derper tells nobody. */
  readonly reportDuplicates?: boolean;
  /** Is told what happens; by default nobody is. The relay's own probes are not traced. */
  readonly trace?: Trace;
  /** Cryptographically random bytes. */
  readonly random: (length: number) => Buffer;
  /** Asks for one call of `flush` at the end of the current turn of the event loop. */
  readonly requestFlush: () => void;
}

export class RelayCore {
  readonly publicKey: NodeKey;
  readonly counters = new Counters();
  readonly router: Router;
  readonly #sessions = new Set<Session>();
  readonly #departures = new Departures();
  readonly #links = new Set<MeshLink>();
  readonly #probes = new Set<Ticking>();
  readonly #shared: Shared;
  /** What sessions of the relay's own probes share: all as it is, but for whom they could meet and what counts them. */
  readonly #sharedByProbes: Shared;
  readonly #turn: Turn;
  #trimAt = 0;
  /** When the last client has left, once the relay has begun to stop. */
  #leaveBy: number | undefined;

  constructor({
    privateKey,
    gate,
    probeGate,
    meshKeys = [],
    limits,
    maxQueuedBytes,
    reportDuplicates = false,
    trace = {},
    random,
    requestFlush,
  }: CoreOptions) {
    this.publicKey = publicKeyOf(privateKey);
    this.router = new Router(this.counters, trace);
    this.#turn = new Turn(requestFlush);
    this.#shared = {
      privateKey,
      publicKey: this.publicKey,
      gate,
      // An all-zero key is no key: it would let everybody in who has none.
      meshKeys: meshKeys.filter((key) => !isZeroKey(key)),
      router: this.router,
      counters: this.counters,
      pool: new SlabPool(maxQueuedBytes, () => this.#shedLongest()),
      limits: { ...defaultLimits, ...limits },
      rateLimit: undefined,
      departures: this.#departures,
      reportDuplicates,
      trace,
      random,
      blocked: new Set(),
      turn: this.#turn,
      ended: (ticking) => {
        this.#shared.blocked.delete(ticking);
        if (ticking instanceof Session) this.#sessions.delete(ticking);
        else if (ticking instanceof MeshLink) this.#links.delete(ticking);
      },
    };
    const counters = new Counters();
    this.#sharedByProbes = {
      ...this.#shared,
      gate: probeGate,
      meshKeys: [],
      counters,
      trace: {},
      router: new Router(counters),
      ended: (session) => {
        this.#shared.blocked.delete(session);
        this.#probes.delete(session);
      },
    };
  }

  /** Memory that holds packets on their way out, in bytes. */
  get queueMemory(): number {
    return this.#shared.pool.bytesOut;
  }

  /** Connections of others, logged in or not. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Begins a connection.
   *
   * @param head what goes before ServerKey: the HTTP answer, or nothing at fast start
   * @param loggedIn called once, when the client is in
   */
  open(
    transport: Transport,
    head: Buffer,
    origin: Origin,
    now: number,
    loggedIn: () => void = () => {},
  ): Session {
    const session = new Session(this.#shared, transport, origin, now, loggedIn);
    this.#sessions.add(session);
    session.greet(head, now);
    if (this.#leaveBy !== undefined) session.dismiss(Math.max(0, this.#leaveBy - now), now);
    return session;
  }

  /**
   * Begins a connection of one of the relay's own probes. It goes as any other does, and meets nobody: no client, no
   * relay of the mesh and no counter sees it.
   */
  openProbe(transport: Transport, head: Buffer, origin: Origin, now: number): Session {
    const session = new Session(this.#sharedByProbes, transport, origin, now, () => {});
    this.#probes.add(session);
    session.greet(head, now);
    return session;
  }

  /** Begins a link to another relay of the mesh, over a connection on which we are logged in with the mesh key. */
  openLink(transport: Transport, now: number): MeshLink {
    const link = new MeshLink(this.#shared, transport, now);
    this.#links.add(link);
    return link;
  }

  /** Limits what each client may send, those included that are here; undefined for no limit. */
  setRateLimit(limit: RateLimit | undefined, now: number): void {
    this.#shared.rateLimit = limit;
    for (const session of this.#sessions) session.applyRateLimit(now);
  }

  /** Writes all that this turn has brought. */
  flush(now: number): void {
    this.#turn.end(now);
  }

  /** Does what time has made due. To be called several times a second. */
  tick(now: number): void {
    for (const session of this.#sessions) tickIfDue(session, now);
    for (const link of this.#links) tickIfDue(link, now);
    for (const probe of this.#probes) tickIfDue(probe, now);
    if (now < this.#trimAt) return;
    this.#trimAt = now + trimMs;
    this.#departures.tick(now);
    this.#shared.pool.trim();
  }

  /**
   * Begins to stop. Clients are told and closed one after the other, spread over a time, so that they do not all come
   * back at once; relays of the mesh last, so that packets still reach those who are here. Whoever is on the way in comes in,
   * and stays until the last ones leave.
   *
   * @param overMs from now to the last one's end, in milliseconds
   */
  drain(overMs: number, now: number): void {
    this.#leaveBy = now + overMs;
    const sessions = [...this.#sessions];
    const leaving = [
      ...sessions.filter(({ role }) => role === "client"),
      ...sessions.filter(({ role }) => role === "mesh"),
    ];
    for (const [index, session] of leaving.entries()) {
      session.dismiss((overMs * (index + 1)) / leaving.length, now);
    }
    for (const session of sessions) if (session.role === undefined) session.dismiss(overMs, now);
  }

  /**
   * Lets clients go that are at home here, so that they find another home: their connections end, spread over a time, and
   * their keys are refused for 40 s (`refusedMs`). Whoever makes this its home meanwhile goes as well. Those who are here for a peer's sake stay, and so do
   * relays of the mesh. A client that has nowhere else to be is let in again, and not let go a second time.
   *
   * @param overMs from now to the last one's end, in milliseconds
   * @returns how many are at home here
   */
  letGo(overMs: number, now: number): number {
    this.#departures.begin(overMs, now);
    const leaving = [...this.#sessions].filter(({ atHome }) => atHome);
    for (const [index, session] of leaving.entries()) {
      session.letGo((overMs * (index + 1)) / leaving.length, now);
    }
    return leaving.length;
  }

  /** Memory runs short: whoever has most waiting gives some of it up (repair Q18). */
  #shedLongest(): void {
    let longest: Flushable | undefined;
    for (const holders of [this.#shared.blocked, this.#turn.waiting]) {
      for (const holder of holders) {
        if (holder.queuedBytes > (longest?.queuedBytes ?? 0)) longest = holder;
      }
    }
    longest?.shed();
  }

  /** Ends every connection. */
  close(reason: "shutdown"): void {
    for (const session of this.#sessions) session.close(reason);
    for (const link of this.#links) link.close(reason);
    for (const probe of this.#probes) probe.close(reason);
  }
}

function tickIfDue(ticking: Ticking, now: number): void {
  if (now >= ticking.nextDeadline()) ticking.tick(now);
}
