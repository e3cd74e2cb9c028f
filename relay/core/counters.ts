/** What the relay counts. Plain numbers that the packet path adds to; telemetry gives them derper's metric names. */
import { createHistogram, meshBatchBounds, meshLoopBounds, writeFramesBounds } from "./histogram.ts";

export const dropReasons = [
  "unknown_dest",
  "unknown_dest_on_fwd",
  "gone_disconnected",
  "queue_head",
  "queue_tail",
  "write_error",
  "dup_client",
] as const;
export type DropReason = (typeof dropReasons)[number];

/** A packet is one of Tailscale's discovery messages or anything else. */
export interface ByKind {
  disco: number;
  other: number;
}

/** Packets and their content bytes (without headers) that were dropped for one reason. */
export interface Dropped {
  readonly packets: ByKind;
  readonly bytes: ByKind;
}

export class Counters {
  accepts = 0;
  /** Those among them that came in a WebSocket. */
  webSocketAccepts = 0;
  packetsReceived: ByKind = { disco: 0, other: 0 };
  bytesReceived = 0;
  packetsSent = 0;
  bytesSent = 0;
  gotPing = 0;
  sentPong = 0;
  unknownFrames = 0;
  packetsForwardedIn = 0;
  packetsForwardedOut = 0;
  multiForwarderCreated = 0;
  multiForwarderDeleted = 0;
  /** A way through another relay was to be removed that was not known. */
  forwarderDeleteOther = 0;
  peerGoneDisconnected = 0;
  peerGoneNotHere = 0;
  writeTimeouts = 0;
  /** Logins refused because their key had connections enough. */
  refusedByKey = 0;
  /** How often a client was made to wait by its rate limit. */
  rateLimitWaited = 0;
  homeMovesIn = 0;
  homeMovesOut = 0;
  /** Extra connections of a key that was connected already, since the start. */
  duplicateConnections = 0;
  /** Exponential average, factor 0.1, of the milliseconds that packets waited before they were written. */
  averageQueueMs = 0;
  /** Frames that left in one flush. */
  readonly framesPerWrite = createHistogram(writeFramesBounds);
  /** PeerPresent and PeerGone frames that left for one watcher in one flush, and how many flushes a turn's took. */
  readonly meshBatchSize = createHistogram(meshBatchBounds);
  readonly meshLoopCount = createHistogram(meshLoopBounds);
  /** Gauges. */
  connections = 0;
  /** Keys that have more than one connection. */
  duplicateKeys = 0;
  homeConnections = 0;
  notIdealConnections = 0;
  readonly dropped: Readonly<Record<DropReason, Dropped>> = Object.fromEntries(
    dropReasons.map((reason) => [reason, { packets: { disco: 0, other: 0 }, bytes: { disco: 0, other: 0 } }]),
  ) as Record<DropReason, Dropped>;

  /** Counts one dropped packet of `bytes` content bytes. */
  drop(reason: DropReason, disco: boolean, bytes: number): void {
    const { packets, bytes: sum } = this.dropped[reason];
    if (disco) {
      packets.disco++;
      sum.disco += bytes;
    } else {
      packets.other++;
      sum.other += bytes;
    }
  }
}
