/** Sources of metrics as a relay has them that has just begun, with every part there. */
import { BootstrapDns } from "../../bootstrap-dns/bootstrap-dns.ts";
import { Counters } from "../../core/counters.ts";
import { createStunCounters } from "../../stun/server.ts";
import { createHistogram, meshBatchBounds, meshLoopBounds, writeFramesBounds } from "../../core/histogram.ts";
import type { MeshCounters, MetricSources, ProcessFacts } from "../sources.ts";

export const facts: ProcessFacts = {
  version: "1.102.5",
  uptimeSeconds: 1.6,
  startTimeSeconds: 1_795_361_986.25,
  cpuSeconds: 0.25,
  residentBytes: 70_000_000,
  bootTimeSeconds: 1_795_356_015,
  openFiles: 13,
  maxOpenFiles: 20_000,
  virtualBytes: 1_000_000_000,
  maxVirtualBytes: 2 ** 64 - 1,
};

export const idleMesh: MeshCounters = {
  watchers: 0,
  remoteKeys: 0,
  forwardedIn: 0,
  forwardedOut: 0,
  multiForwardersCreated: 0,
  multiForwardersDeleted: 0,
  otherForwarderDeleted: 0,
  batchSize: createHistogram(meshBatchBounds),
  loopCount: createHistogram(meshLoopBounds),
};

export function freshSources(changes: Partial<MetricSources> = {}): MetricSources {
  return {
    core: new Counters(),
    clients: { keys: 0, duplicateKeys: 0 },
    queues: { averageMs: 0, framesPerWrite: createHistogram(writeFramesBounds), memoryBytes: 0 },
    refused: { total: 0, source: 0, key: 0 },
    tls: { accepted: 0, rejected: 0, requests: { "1.2": 0, "1.3": 0 }, active: { "1.2": 0, "1.3": 0 } },
    stun: createStunCounters(),
    bootstrapDns: new BootstrapDns(() => 0).counters,
    mesh: idleMesh,
    webSocket: { accepts: 0 },
    rateLimit: { bytesPerSecond: 0, burstBytes: 0, waited: 0 },
    admission: undefined,
    health: undefined,
    certificates: [],
    updater: undefined,
    facts,
    ...changes,
  };
}
