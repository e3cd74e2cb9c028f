/**
 * What metrics are read from: plain numbers that each part counts for itself.
 *
 * A part that is there but does not count yet is undefined, and its metrics are not exported: a number that nobody
 * measures must not look like one that is 0.
 */
import type { BootstrapDnsCounters } from "../bootstrap-dns/bootstrap-dns.ts";
import type { CertificateCounts } from "../certificates/report.ts";
import type { Counters } from "../core/counters.ts";
import type { UpdaterCounts } from "../status/updater-status.ts";
import type { StunCounters } from "../stun/server.ts";
import type { Histogram } from "../core/histogram.ts";

export interface MetricSources {
  readonly core: Counters;
  readonly clients: ClientCounts;
  readonly queues: QueueCounts | undefined;
  readonly refused: RefusedConnections;
  /** Undefined if the relay serves without TLS. */
  readonly tls: TlsCounters | undefined;
  readonly stun: StunCounters;
  readonly mesh: MeshCounters;
  readonly webSocket: WebSocketCounters;
  readonly bootstrapDns: BootstrapDnsCounters;
  /** Undefined without the option `-rate-config`, as in derper. */
  readonly rateLimit: RateLimitCounts | undefined;
  /** Undefined if everybody may connect. */
  readonly admission: AdmissionCounts | undefined;
  /** Undefined if the relay does not probe itself. */
  readonly health: HealthCounts | undefined;
  /** Empty if the relay serves without TLS. */
  readonly certificates: readonly CertificateCounts[];
  /** Undefined if no updater says anything that the relay is to show. */
  readonly updater: UpdaterCounts | undefined;
  readonly facts: ProcessFacts;
}

/** What the relay's probes of itself found. */
export interface HealthCounts {
  /** The names of those that fail now. */
  readonly failing: readonly string[];
  /** How often each has passed and failed, by its name. */
  readonly probes: ReadonlyMap<string, { readonly passed: number; readonly failed: number }>;
}

/** Connections that one of our own limits has refused. */
export interface RefusedConnections {
  /** -max-connections */
  readonly total: number;
  /** -max-waiting-per-address */
  readonly source: number;
  /** -max-connections-per-key */
  readonly key: number;
}

/** Gauges of the router. */
export interface ClientCounts {
  /** Keys that are connected to this relay. */
  readonly keys: number;
  /** Those of them that have more than one connection. */
  readonly duplicateKeys: number | undefined;
}

export interface QueueCounts {
  /** Exponential average, factor 0.1, of the milliseconds that a packet waited before it was written. */
  readonly averageMs: number;
  /** Frames that left in one write. */
  readonly framesPerWrite: Histogram;
  /** Of the slabs that are in use. */
  readonly memoryBytes: number;
}

export interface TlsCounters {
  /** TCP connections that were accepted; those above a limit are not among them. */
  readonly accepted: number;
  /** TCP connections that were closed at once because of a limit. */
  readonly rejected: number;
  /**
   * HTTP requests, those that became DERP connections among them, by the version of TLS that they came through: `1.2`,
   * `1.3`, and derper's `unknown`.
   */
  readonly requests: Readonly<Record<string, number>>;
  /** Those that are not finished: above all the DERP connections. */
  readonly active: Readonly<Record<string, number>>;
}

export interface MeshCounters {
  readonly watchers: number;
  /** Keys that are connected to another relay of the region only. */
  readonly remoteKeys: number;
  readonly forwardedIn: number;
  readonly forwardedOut: number;
  /** Keys that came to be reachable through more than one relay, and that ceased to be. */
  readonly multiForwardersCreated: number;
  readonly multiForwardersDeleted: number;
  /** A relay took back a forwarder that was not, or no longer, the one in use. */
  readonly otherForwarderDeleted: number;
  /** PeerPresent and PeerGone frames written to a watcher in one go, and the rounds that took. */
  readonly batchSize: Histogram;
  readonly loopCount: Histogram;
}

export interface WebSocketCounters {
  readonly accepts: number;
}

export interface RateLimitCounts {
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
  /** Frames that a client's own limit has held up. */
  readonly waited: number;
}

/** Of those who say who may connect. */
export interface AdmissionCounts {
  /** By the name of the mode. */
  readonly modes: Readonly<Record<string, AdmissionModeCounts>>;
  /** Sessions that had to end, by why. */
  readonly ended: Readonly<Record<string, number>>;
  /** Sessions that are asked about again and again. */
  readonly watched: number;
}

export interface AdmissionModeCounts {
  readonly queries: number;
  readonly allow: number;
  readonly deny: number;
  readonly unknown: number;
  readonly cached: number;
  /** The unknown answers, by what failed. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of a mode that looks clients up in a list. */
  readonly list?: {
    readonly keys: number;
    /** Undefined if no list has been read yet. */
    readonly ageMs: number | undefined;
    readonly reads: number;
    readonly failedReads: number;
  };
}

/** What is known of the process and its machine. Undefined is what only Linux tells. */
export interface ProcessFacts {
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Seconds since 1970, with fractions. */
  readonly startTimeSeconds: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Seconds since 1970. */
  readonly bootTimeSeconds: number | undefined;
  readonly openFiles: number | undefined;
  readonly maxOpenFiles: number | undefined;
  readonly virtualBytes: number | undefined;
  readonly maxVirtualBytes: number | undefined;
}
