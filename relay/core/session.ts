/**
 * One client's connection, from the first byte to the last: bytes and time go in, frames for the socket come out.
 *
 * It opens no socket and reads no clock. Times are milliseconds on a clock that never goes back.
 */
import { timingSafeEqual } from "node:crypto";
import type { NodeKey } from "../crypto/keys.ts";
import {
  FrameType,
  keyLength,
  limits,
  nonceLength,
  PeerGoneReason,
  PeerPresentFlag,
} from "../protocol/frame.ts";
import { encodeServerInfo, type Greeting, openClientInfo } from "../protocol/handshake.ts";
import type { ClientInfo } from "../protocol/info.ts";
import { FrameReader, type FrameSink, Verdict } from "../protocol/reader.ts";
import {
  encodeFrame,
  encodeHealth,
  encodePeerGone,
  encodePeerPresent,
  encodePong,
  encodeRestarting,
  encodeServerKey,
} from "../protocol/writer.ts";
import type { Connection, Peer } from "./peer.ts";
import { ByteBucket } from "./byte-bucket.ts";
import { observe } from "./histogram.ts";
import { Outbox, type OutboxObserver } from "./outbox.ts";
import type { PresenceWatcher } from "./router.ts";
import {
  type CloseReason,
  type Gate,
  noteBlocked,
  type Origin,
  type Shared,
  type Ticking,
  type Transport,
} from "./session-context.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { ClientTrace } from "./trace.ts";

/** A connection after login. */
interface Open {
  readonly kind: "open";
  /** Tells the gate that the client has left. */
  readonly withdraw: () => void;
  readonly peer: Peer;
  /** It has shown the mesh key. */
  readonly mesh: boolean;
  readonly info: ClientInfo;
  readonly since: number;
  /** Interval between KeepAlives: 60 to 65 s, chosen once, so that a fleet of clients does not wake all at once. */
  readonly keepAliveMs: number;
  keepAliveAt: number;
  /** By when the client has to be heard of. */
  heardBy: number;
}

type State =
  | { readonly kind: "login"; readonly deadline: number }
  /** The gate has been asked. What the client sends meanwhile waits. */
  | { readonly kind: "admitting"; readonly deadline: number; readonly withdraw: () => void }
  /** Refused, for its key has connections enough. It is told late, so that it does not come back at once. */
  | { readonly kind: "held"; readonly deadline: number; readonly withdraw: () => void }
  | Open
  | { readonly kind: "closed" };

const closed: State = { kind: "closed" };
/** For who has asked no gate. */
const withdrawNothing = (): void => {};
const knownTypes: ReadonlySet<number> = new Set(Object.values(FrameType));
/** Changes of home within this time of connecting are arrivals, not moves. */
const settledAfterMs = 5_000;
/** How long a client whose key has connections enough is kept waiting for its refusal. */
const heldMs = 5_000;
/** How long a client is to try to come back before it does what it does when a relay fails. The type's author: a few seconds. */
const tryForMs = 5_000;

export class Session implements Connection, PresenceWatcher, Ticking, FrameSink, OutboxObserver {
  readonly #shared: Shared;
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #reader = new FrameReader();
  #state: State;
  /** The time of the call that is being handled. */
  #now: number;
  /** When the client has to go, and why: the relay stops, or lets it go if it is at home here then. */
  #leaveAt = Number.POSITIVE_INFINITY;
  #leaveFor: "shutdown" | "let-go" = "shutdown";
  #pongPending = false;
  #bucket: ByteBucket | undefined;
  /** Milliseconds that the chunk in hand has brought of debt. */
  #owed = 0;
  #flushWanted = false;
  #home = false;
  readonly #origin: Origin;
  readonly #loggedIn: () => void;
  #watching = false;
  /** PeerPresent and PeerGone frames since the last flush. */
  #meshUpdates = 0;
  #framesInFlush = 0;
  #notHereLimit: TokenBucket | undefined;
  /** Peers this client has heard from and is told about when they go. */
  #watched: Set<Peer> | undefined;
  #lastSource: Peer | undefined;
  #lastDestination: Peer | undefined;
  /** Who it is, from the login on, also once it has left. */
  #peer: Peer | undefined;
  #trace: ClientTrace | undefined;

  /** @param loggedIn called once, when the client is in */
  constructor(shared: Shared, transport: Transport, origin: Origin, now: number, loggedIn: () => void) {
    this.#shared = shared;
    this.#transport = transport;
    this.#origin = origin;
    this.#loggedIn = loggedIn;
    this.#now = now;
    this.#state = { kind: "login", deadline: now + shared.limits.loginMs };
    this.#outbox = new Outbox(transport, FrameType.recvPacket, shared.pool, shared.limits.queue, this);
    shared.counters.accepts++;
  }

  /** The client's key, once it has proved it. */
  get key(): NodeKey | undefined {
    return this.#state.kind === "open" ? this.#state.peer.key : undefined;
  }

  get closed(): boolean {
    return this.#state.kind === "closed";
  }

  /** Bytes of the packets that wait for the client. */
  get queuedBytes(): number {
    return this.#outbox.bytes;
  }

  /** Gives up some of what waits, for memory is short. */
  shed(): void {
    this.#outbox.shed();
  }

  /** Greets the client: `head` (the HTTP answer, empty at fast start) and ServerKey in one write. */
  greet(head: Buffer, now: number): void {
    this.#now = now;
    this.#outbox.pushControl(Buffer.concat([head, encodeServerKey(this.#shared.publicKey)]));
    this.flush(now);
  }

  /** Takes bytes from the client. `chunk` is not kept. */
  receive(chunk: Buffer, now: number): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    this.#now = now;
    if (state.kind === "open") state.heardBy = Number.POSITIVE_INFINITY;
    this.#shared.turn.reading(now);
    this.#read(() => this.#reader.push(chunk, this));
    this.#shared.turn.read(now);
  }

  /** The socket has passed on all that it held. */
  handleDrained(now: number): void {
    if (this.closed) return;
    this.#now = now;
    this.#outbox.handleDrained(now);
    this.#afterWrite();
  }

  /** Writes what waits. */
  flush(now: number): void {
    this.#flushWanted = false;
    if (this.closed) return;
    this.#now = now;
    this.#framesInFlush = this.#outbox.controlFrames;
    this.#outbox.flush(now);
    observe(this.#shared.counters.framesPerWrite, this.#framesInFlush);
    if (this.#meshUpdates > 0) this.#countMeshUpdates();
    this.#afterWrite();
  }

  nextDeadline(): number {
    const state = this.#state;
    if (state.kind === "closed") return Number.POSITIVE_INFINITY;
    if (state.kind !== "open") return Math.min(state.deadline, this.#writeBy, this.#leaveAt);
    return Math.min(state.keepAliveAt, state.heardBy, this.#writeBy, this.#leaveAt);
  }

  tick(now: number): void {
    const state = this.#state;
    this.#now = now;
    if (now >= this.#writeBy) {
      this.#shared.counters.writeTimeouts++;
      this.close("write-timeout");
    } else if (state.kind !== "open" && state.kind !== "closed" && now >= state.deadline) {
      this.close(state.kind === "held" ? "too-many" : "login-timeout");
    } else if (now >= this.#leaveAt) {
      if (this.#leaveFor === "shutdown") this.close("shutdown");
      else this.#goNow(now);
    } else if (state.kind === "open" && now >= state.heardBy) {
      this.close("silent");
    } else if (state.kind === "open" && now >= state.keepAliveAt) {
      this.#keepAlive(state, now);
    }
  }

  /** True once the other side is logged in; `mesh` if it is a relay. */
  get role(): "client" | "mesh" | undefined {
    if (this.#state.kind !== "open") return undefined;
    return this.#state.mesh ? "mesh" : "client";
  }

  /**
   * The relay stops: tells the client, which is closed in so many milliseconds. One that is about to log in may do so, and
   * is told then: it was taken before, and to be refused now would look like a relay that fails.
   */
  dismiss(inMs: number, now: number): void {
    this.#leaveAt = now + inMs;
    this.#leaveFor = "shutdown";
    if (this.role === undefined) return;
    this.#sendControl(encodeRestarting(Math.round(inMs), tryForMs));
  }

  /** True of a client that has said so. */
  get atHome(): boolean {
    return this.#home;
  }

  /** Has it go in so many milliseconds, and stay away for a while, if it is at home here then. It is not told before. */
  letGo(inMs: number, now: number): void {
    if (this.#leaveFor === "shutdown" && this.#leaveAt < Number.POSITIVE_INFINITY) return;
    this.#leaveAt = now + inMs;
    this.#leaveFor = "let-go";
  }

  #goNow(now: number): void {
    this.#leaveAt = Number.POSITIVE_INFINITY;
    const { key } = this;
    if (key !== undefined && this.#home && this.#shared.departures.letGo(key, now)) this.close("let-go");
  }

  /** The rate limit has changed: begins anew with a full bucket. Relays of the mesh have none. */
  applyRateLimit(now: number): void {
    const { rateLimit } = this.#shared;
    const limited = rateLimit !== undefined && this.#state.kind === "open" && !this.#state.mesh;
    this.#bucket = limited ? new ByteBucket(rateLimit, now) : undefined;
  }

  /** Ends the connection. Further calls do nothing. */
  close(reason: CloseReason): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    this.#state = closed;
    this.#outbox.clear();
    if (state.kind !== "login") state.withdraw();
    if (state.kind === "open") this.#leave(state.peer);
    this.#trace?.closed(reason);
    this.#shared.ended(this);
    this.#transport.close(reason);
  }

  // Connection: what other clients' doings mean for this one.

  deliver(source: Peer, disco: boolean, packet: Buffer, start: number, end: number, now: number): void {
    this.#outbox.pushPacket(source, disco, packet, start, end, now);
    if (!this.#flushWanted) this.#wantFlush();
  }

  peerGone(peer: Peer): void {
    this.#shared.counters.peerGoneDisconnected++;
    this.#watched?.delete(peer);
    if (this.#lastSource === peer) this.#lastSource = undefined;
    this.#sendControl(encodePeerGone(peer.key, PeerGoneReason.disconnected));
  }

  /** Three times at once, then once a second. */
  peerNotHere(key: Buffer, now: number): void {
    this.#notHereLimit ??= new TokenBucket(1, 3, now);
    if (!this.#notHereLimit.take(now)) return;
    this.#shared.counters.peerGoneNotHere++;
    this.#sendControl(encodePeerGone(key, PeerGoneReason.notHere));
  }

  presence(): Buffer {
    const state = this.#state;
    if (state.kind !== "open") throw new Error("only who is logged in is present");
    const { ip, port, notIdeal } = this.#origin;
    const flags =
      (state.mesh ? PeerPresentFlag.meshPeer : 0) |
      (state.info.isProber ? PeerPresentFlag.prober : 0) |
      (notIdeal ? PeerPresentFlag.notIdeal : 0);
    return encodePeerPresent(state.peer.key, ip, port, flags || PeerPresentFlag.regular);
  }

  expel(): void {
    this.close("expelled");
  }

  /** Says that other connections use the client's key as well, or with 1 that it is alone again. */
  shares(connections: number): void {
    if (!this.#shared.reportDuplicates) return;
    const problem =
      connections === 1
        ? ""
        : `This node key is connected ${connections} times to the relay. If a machine was cloned, give each its own key.`;
    this.#sendControl(encodeHealth(problem));
  }

  // PresenceWatcher: what a relay of the mesh is told.

  present(frame: Buffer): void {
    this.#meshUpdates++;
    this.#sendControl(frame);
  }

  absent(key: NodeKey): void {
    this.#meshUpdates++;
    this.#shared.counters.peerGoneDisconnected++;
    this.#sendControl(encodePeerGone(key, PeerGoneReason.disconnected));
  }

  /** Reads frames, and then draws the consequences. */
  #read(read: () => void): void {
    this.#owed = 0;
    read();
    if (this.#owed > 0 && !this.closed) {
      this.#shared.counters.rateLimitWaited++;
      this.#transport.pauseReading(this.#owed);
    }
    if (this.#reader.stopped) this.close(this.#state.kind === "login" ? "login-refused" : "protocol");
  }

  // FrameSink: what the client sends.

  header(type: number, length: number): Verdict {
    const state = this.#state;
    if (state.kind === "login") {
      const { min, max } = limits.clientInfo;
      return type === FrameType.clientInfo && length >= min && length <= max
        ? Verdict.deliver
        : Verdict.refuse;
    }
    if (state.kind !== "open") return Verdict.refuse;
    this.#trace?.frame(type, length);
    if (state.peer.size > 1) state.peer.speak(this);
    // What is already here is handled, and then reading stops: no packet is dropped for its rate.
    if (this.#bucket !== undefined) {
      this.#owed = this.#bucket.take(Math.min(length, limits.sendPacket.max), this.#now);
    }
    switch (type) {
      case FrameType.sendPacket:
        return within(length, limits.sendPacket);
      case FrameType.ping:
        return within(length, limits.ping);
      case FrameType.notePreferred:
        return length === 1 ? Verdict.deliver : Verdict.refuse;
      case FrameType.forwardPacket:
        return state.mesh ? within(length, limits.forwardPacket) : Verdict.refuse;
      case FrameType.watchConns:
        return state.mesh && length === 0 ? Verdict.deliver : Verdict.refuse;
      case FrameType.closePeer:
        return state.mesh && length === keyLength ? Verdict.deliver : Verdict.refuse;
      default:
        if (!knownTypes.has(type)) this.#shared.counters.unknownFrames++;
        return Verdict.skip;
    }
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    const state = this.#state;
    if (state.kind === "login") return this.#login(buffer.subarray(start, end), state.deadline);
    if (state.kind !== "open") return false;
    const { router } = this.#shared;
    switch (type) {
      case FrameType.sendPacket: {
        const last = this.#lastDestination;
        this.#lastDestination = router.route(this, state.peer, last, buffer, start, end, this.#now);
        break;
      }
      case FrameType.forwardPacket:
        router.deliverForwarded(this, buffer, start, end, this.#now);
        break;
      case FrameType.ping:
        this.#pong(buffer.subarray(start, start + 8));
        break;
      case FrameType.notePreferred:
        this.#preferHome(buffer[start] !== 0, state);
        break;
      case FrameType.watchConns:
        this.#watchRegion(state.peer);
        break;
      case FrameType.closePeer:
        router.expel(buffer.subarray(start, end));
        break;
    }
    return !this.closed; // It may have expelled itself.
  }

  // OutboxObserver: what became of packets for the client.

  sent(source: Peer, bytes: number, waitedMs: number): void {
    const { counters } = this.#shared;
    counters.packetsSent++;
    counters.bytesSent += bytes;
    counters.averageQueueMs += (waitedMs - counters.averageQueueMs) * 0.1;
    this.#framesInFlush++;
    if (source !== this.#lastSource) this.#watch(source);
  }

  dropped(source: Peer, disco: boolean, bytes: number): void {
    const { counters, trace } = this.#shared;
    const reason = this.closed ? "gone_disconnected" : "queue_head";
    counters.drop(reason, disco, bytes);
    if (this.#peer !== undefined) trace.dropped?.(reason, source.key, this.#peer.key);
  }

  #login(payload: Buffer, deadline: number): boolean {
    const { privateKey, gate } = this.#shared;
    const greeting = openClientInfo(payload, privateKey);
    if (greeting === undefined) return false;
    if (this.#holdsMeshKey(greeting.info)) this.#enter(greeting, withdrawNothing);
    else if (this.#shared.departures.refuses(greeting.key, this.#now)) this.close("let-go");
    else if (gate === undefined || this.#keyIsFull(greeting.key))
      this.#enterOrHold(greeting, withdrawNothing);
    else this.#ask(gate, greeting, deadline);
    return true;
  }

  #ask(gate: Gate, greeting: Greeting, deadline: number): void {
    this.#holdBack();
    const decide = (admitted: boolean, now: number): void => this.#decided(greeting, admitted, now);
    const withdraw = gate.ask(greeting.key, this.#origin.ip, decide, () => this.close("admission-ended"));
    this.#state = { kind: "admitting", deadline, withdraw };
  }

  #decided(greeting: Greeting, admitted: boolean, now: number): void {
    const state = this.#state;
    if (state.kind !== "admitting") return;
    this.#now = now;
    if (!admitted) {
      this.close("not-admitted");
      return;
    }
    if (!this.#enterOrHold(greeting, state.withdraw)) return;
    this.#transport.resumeReading();
    this.#read(() => this.#reader.release(this));
  }

  /** @returns false if the client has to wait for its refusal instead */
  #enterOrHold(greeting: Greeting, withdraw: () => void): boolean {
    if (!this.#keyIsFull(greeting.key)) {
      this.#enter(greeting, withdraw);
      return true;
    }
    this.#shared.counters.refusedByKey++;
    this.#holdBack();
    this.#state = { kind: "held", deadline: this.#now + heldMs, withdraw };
    return false;
  }

  #keyIsFull(key: NodeKey): boolean {
    const { router, limits: most } = this.#shared;
    return most.perKey > 0 && (router.find(key, 0)?.size ?? 0) >= most.perKey;
  }

  /** At fast start packets may have come along with the login. They wait, and so does TCP. */
  #holdBack(): void {
    this.#reader.hold();
    this.#transport.pauseReading(Number.POSITIVE_INFINITY);
  }

  /** The client is in: it becomes reachable. */
  #enter({ key, info, box }: Greeting, withdraw: () => void): void {
    const { router, counters, random, trace } = this.#shared;
    // ServerInfo is the first frame after ServerKey: clients and probers rely on it.
    this.#sendControl(encodeServerInfo(box, random(nonceLength)));
    const keepAliveMs = 60_000 + (random(2).readUInt16BE() / 65_536) * 5_000;
    const peer = router.register(this, key);
    this.#peer = peer;
    this.#state = {
      kind: "open",
      withdraw,
      peer,
      mesh: this.#holdsMeshKey(info),
      info,
      since: this.#now,
      keepAliveMs,
      keepAliveAt: this.#now + keepAliveMs,
      heardBy: Number.POSITIVE_INFINITY,
    };
    counters.connections++;
    if (this.#origin.notIdeal) counters.notIdealConnections++;
    this.#trace = trace.client?.(key, info, this.#origin);
    this.#trace?.registered(peer.size);
    this.#loggedIn();
    router.announce(this);
    this.applyRateLimit(this.#now);
    if (this.#leaveAt < Number.POSITIVE_INFINITY) {
      this.dismiss(Math.max(0, this.#leaveAt - this.#now), this.#now);
    }
  }

  #leave(peer: Peer): void {
    const { router, counters } = this.#shared;
    counters.connections--;
    if (this.#origin.notIdeal) counters.notIdealConnections--;
    if (this.#home) counters.homeConnections--;
    if (this.#watching) router.unwatch(this);
    for (const watched of this.#watched ?? []) {
      watched.watchers.delete(this);
      router.forget(watched);
    }
    router.unregister(this, peer);
  }

  /**
   * KeepAlive, and a ping for clients that answer one. Without it a client whose network went away without a word would
   * stay for as long as the kernel retries: a write to it succeeds into the socket's buffer.
   */
  #keepAlive(state: Open, now: number): void {
    const {
      limits: { silentMs },
      random,
    } = this.#shared;
    state.keepAliveAt = now + state.keepAliveMs;
    this.#sendControl(encodeFrame(FrameType.keepAlive));
    if (silentMs > 0 && state.info.canAckPings && !state.info.isProber) {
      this.#sendControl(encodeFrame(FrameType.ping, random(8)));
      state.heardBy = now + silentMs;
    }
  }

  /** Answers a ping. While one answer waits for the socket, further pings go unanswered, so that nobody can pile them up. */
  #pong(payload: Buffer): void {
    const { counters } = this.#shared;
    counters.gotPing++;
    if (this.#pongPending) return;
    this.#pongPending = true;
    counters.sentPong++;
    this.#sendControl(encodePong(payload));
  }

  #preferHome(home: boolean, { since }: Open): void {
    if (home === this.#home) return;
    this.#home = home;
    const { counters } = this.#shared;
    const settled = this.#now - since > settledAfterMs;
    if (home) {
      counters.homeConnections++;
      if (settled) counters.homeMovesIn++;
      // From another of the region's relays, most likely, where it was let go.
      if (this.#shared.departures.isUnderWay(this.#now)) this.#goNow(this.#now);
    } else {
      counters.homeConnections--;
      if (settled) counters.homeMovesOut++;
    }
  }

  /** Notes that the client has heard from a peer, or tells it at once that the peer left while its packet waited here. */
  #watch(source: Peer): void {
    if (source.anonymous) return;
    const current = this.#shared.router.current(source);
    if (current === undefined) {
      this.peerGone(source);
      return;
    }
    this.#lastSource = source;
    this.#watched ??= new Set();
    this.#watched.add(current);
    current.watchers.add(this);
  }

  /** Another relay wants to know who is here. This relay itself, connected to itself, does not. */
  #watchRegion(peer: Peer): void {
    const { router, publicKey } = this.#shared;
    if (this.#watching || peer.key.equals(publicKey)) return;
    this.#watching = true;
    router.watch(this);
  }

  #holdsMeshKey({ meshKey }: ClientInfo): boolean {
    if (meshKey === undefined) return false;
    const shown = Buffer.from(meshKey, "hex");
    return this.#shared.meshKeys.some((accepted) => timingSafeEqual(accepted, shown));
  }

  /** All of them leave at once, so that one round is enough. */
  #countMeshUpdates(): void {
    const { meshBatchSize, meshLoopCount } = this.#shared.counters;
    observe(meshBatchSize, this.#meshUpdates);
    observe(meshLoopCount, 1);
    this.#meshUpdates = 0;
  }

  #sendControl(frame: Buffer): void {
    this.#outbox.pushControl(frame);
    if (!this.#flushWanted) this.#wantFlush();
  }

  #wantFlush(): void {
    this.#flushWanted = true;
    this.#shared.turn.flushLater(this);
  }

  /** By when a full socket has to pass something on. */
  get #writeBy(): number {
    const { writeMs, meshWriteMs } = this.#shared.limits;
    const most = this.role === "mesh" ? meshWriteMs : writeMs;
    return most > 0 ? this.#outbox.blockedSince + most : Number.POSITIVE_INFINITY;
  }

  #afterWrite(): void {
    // The slot is free once the pong is with the socket: the client may have it, and ping again, before Node says so.
    if (this.#outbox.controlFrames === 0) this.#pongPending = false;
    noteBlocked(this, this.#outbox, this.#shared);
  }
}

function within(length: number, { min, max }: { readonly min: number; readonly max: number }): Verdict {
  return length >= min && length <= max ? Verdict.deliver : Verdict.refuse;
}
