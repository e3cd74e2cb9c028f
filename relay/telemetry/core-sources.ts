/** What the core counts, as metrics are read from it. */
import type { RelayCore } from "../core/core.ts";
import type { MetricSources } from "./sources.ts";

export type CoreSources = Pick<MetricSources, "core" | "clients" | "queues" | "mesh" | "webSocket">;

/** Reads the sources. Going through all keys, it is for a scrape and not for a packet. */
export function coreSources({ counters, router, queueMemory }: RelayCore): CoreSources {
  const { local, total } = router.population;
  return {
    core: counters,
    clients: { keys: local, duplicateKeys: counters.duplicateKeys },
    queues: {
      averageMs: counters.averageQueueMs,
      framesPerWrite: counters.framesPerWrite,
      memoryBytes: queueMemory,
    },
    mesh: {
      watchers: router.watchers,
      remoteKeys: total - local,
      forwardedIn: counters.packetsForwardedIn,
      forwardedOut: counters.packetsForwardedOut,
      multiForwardersCreated: counters.multiForwarderCreated,
      multiForwardersDeleted: counters.multiForwarderDeleted,
      otherForwarderDeleted: counters.forwarderDeleteOther,
      batchSize: counters.meshBatchSize,
      loopCount: counters.meshLoopCount,
    },
    webSocket: { accepts: counters.webSocketAccepts },
  };
}
