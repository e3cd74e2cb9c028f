/** What a session is given, and whom it tells: its socket, its limits, the gate, and what all sessions of a relay share. */
import type { NodeKey, PrivateKey } from "../crypto/keys.ts";
import type { RateLimit } from "./byte-bucket.ts";
import type { Counters } from "./counters.ts";
import type { Departures } from "./departures.ts";
import type { Outbox, Pipe } from "./outbox.ts";
import type { QueueLimits } from "./packet-queue.ts";
import type { Router } from "./router.ts";
import type { SlabPool } from "./slab-pool.ts";
import type { Trace } from "./trace.ts";
import type { Turn } from "./turn.ts";

/** Why a connection ended. */
export type CloseReason =
  | "end" // the client closed, or its network did
  | "login-timeout"
  | "login-refused"
  | "not-admitted"
  | "admission-ended" // it may no longer stay
  | "too-many" // its key has connections enough
  | "protocol" // a frame that breaks the rules
  | "write-timeout"
  | "silent" // no answer to a ping
  | "let-go" // its region is on its way out
  | "expelled" // a relay of the mesh demanded it (ClosePeer)
  | "shutdown";

/** A session's socket. */
export interface Transport extends Pipe {
  /** Takes nothing from the client, for so many milliseconds or until `resumeReading`; TCP then holds the client back. */
  pauseReading(ms: number): void;
  resumeReading(): void;
  /** Ends the connection at once. Called once; nothing is written afterwards. */
  close(reason: CloseReason): void;
}

export interface SessionLimits {
  /** From the first byte of ours to the client's ClientInfo. derper: 10 s. */
  readonly loginMs: number;
  /** Longest time that a full socket may make no progress; 0 for no limit. derper: 2 s. */
  readonly writeMs: number;
  /** The same for relays of the mesh. derper: 30 s. */
  readonly meshWriteMs: number;
  /** Longest silence after a ping that was sent with a KeepAlive; 0 for no limit. */
  readonly silentMs: number;
  /** Connections of one key; further ones are refused. 0 for no limit, as in derper. Relays of the mesh have none. */
  readonly perKey: number;
  readonly queue: QueueLimits;
}

/** Decides who may come in, and who has to leave. */
export interface Gate {
  /**
   * Asks about a client that has proved its key.
   *
   * @param ip 16 bytes, as in `Origin`
   * @param decide called once at most, and never from within this call
   * @param end called when a client that was admitted may no longer stay
   * @returns withdraws the question, or says that the client has left; called once
   */
  ask(
    key: NodeKey,
    ip: Buffer,
    decide: (admitted: boolean, now: number) => void,
    end: () => void,
  ): () => void;
}

/** What all sessions of a relay share. */
export interface Shared {
  readonly privateKey: PrivateKey;
  readonly publicKey: NodeKey;
  /** Undefined: whoever has a key may come in. */
  readonly gate: Gate | undefined;
  /** Mesh keys that are accepted, 32 bytes each. */
  readonly meshKeys: readonly Buffer[];
  readonly router: Router;
  readonly counters: Counters;
  readonly pool: SlabPool;
  readonly limits: SessionLimits;
  /** Cryptographically random bytes. */
  readonly random: (length: number) => Buffer;
  /** Those whose sockets take nothing for now. */
  readonly blocked: Set<Flushable>;
  readonly turn: Turn;
  /** What a client may send; undefined for no limit. It may change. */
  rateLimit: RateLimit | undefined;
  readonly departures: Departures;
  /** Tells clients whose key is connected more than once (Health); derper does not. */
  readonly reportDuplicates: boolean;
  /** A session or a link is over. */
  readonly ended: (ticking: Ticking) => void;
  readonly trace: Trace;
}

/** Who has something to write at the end of a turn. */
export interface Flushable {
  flush(now: number): void;
  /** Bytes of the packets that wait. */
  readonly queuedBytes: number;
  /** Gives up some of what waits, for memory is short. */
  shed(): void;
}

/** Remembers whether somebody's socket takes anything: memory is looked for among those whose sockets do not. */
export function noteBlocked(holder: Flushable, { blocked }: Outbox, shared: Shared): void {
  if (blocked) shared.blocked.add(holder);
  else shared.blocked.delete(holder);
}

/** What time acts on. */
export interface Ticking extends Flushable {
  /** When `tick` has to be called at the latest. */
  nextDeadline(): number;
  /** Does what time has made due. */
  tick(now: number): void;
  close(reason: "shutdown"): void;
}

/** Where a connection comes from. */
export interface Origin {
  /** 16 bytes, IPv4 in its mapped form; all zero if it is not known. */
  readonly ip: Buffer;
  readonly port: number;
  /** The client would rather be on another node of the region (header Ideal-Node). */
  readonly notIdeal: boolean;
}
