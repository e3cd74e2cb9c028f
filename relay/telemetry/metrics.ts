/**
 * Every metric that the relay exports, once. Those of derper have its names, types and places, so that dashboards made
 * for derper go on working. `/debug/varz`, `/debug/vars` and docs/metrics.md come from this table.
 */
import { dropReasons } from "../core/counters.ts";
import type { Metric, MetricType, Sample } from "./metric.ts";
import { ownMetrics } from "./own-metrics.ts";
import type { MetricSources } from "./sources.ts";

type Row = Omit<Metric, "type">;

const counters: readonly Row[] = [
  {
    name: "derp_accepts",
    vars: "derp.accepts",
    help: "Connections that asked for DERP, logged in or not.",
    read: ({ core }) => core.accepts,
  },
  {
    name: "derp_bytes_received",
    vars: "derp.bytes_received",
    help: "Bytes of packets from clients, contents only.",
    read: ({ core }) => core.bytesReceived,
  },
  {
    name: "derp_bytes_sent",
    vars: "derp.bytes_sent",
    help: "Bytes of packets to clients, contents only.",
    read: ({ core }) => core.bytesSent,
  },
  {
    name: "derp_packets_received",
    vars: "derp.packets_received",
    help: "Packets from clients.",
    read: ({ core }) => core.packetsReceived.disco + core.packetsReceived.other,
  },
  {
    name: "derp_packets_received_kind",
    labels: ["kind"],
    vars: "derp.counter_packets_received_kind",
    help: "Packets from clients: discovery messages and others.",
    read: ({ core }) => byLabel(core.packetsReceived),
  },
  {
    name: "derp_packets_sent",
    vars: "derp.packets_sent",
    help: "Packets to clients.",
    read: ({ core }) => core.packetsSent,
  },
  {
    name: "derp_packets_dropped",
    labels: ["reason", "kind"],
    vars: "derp_packets_dropped",
    help: "Packets that were not delivered.",
    read: (sources) => dropped(sources, "packets"),
  },
  {
    name: "derp_bytes_dropped",
    labels: ["reason", "kind"],
    vars: "derp_bytes_dropped",
    help: "Bytes of packets that were not delivered, contents only.",
    read: (sources) => dropped(sources, "bytes"),
  },
  {
    name: "derp_packets_forwarded_in",
    vars: "derp.packets_forwarded_in",
    help: "Packets from other relays of the region.",
    read: ({ mesh }) => mesh.forwardedIn,
  },
  {
    name: "derp_packets_forwarded_out",
    vars: "derp.packets_forwarded_out",
    help: "Packets to other relays of the region.",
    read: ({ mesh }) => mesh.forwardedOut,
  },
  {
    name: "derp_got_ping",
    vars: "derp.got_ping",
    help: "Pings from clients.",
    read: ({ core }) => core.gotPing,
  },
  {
    name: "derp_sent_pong",
    vars: "derp.sent_pong",
    help: "Pongs to clients, each the answer to a ping.",
    read: ({ core }) => core.sentPong,
  },
  {
    name: "derp_home_moves_in",
    vars: "derp.home_moves_in",
    help: "Clients that made this relay their home after they had not.",
    read: ({ core }) => core.homeMovesIn,
  },
  {
    name: "derp_home_moves_out",
    vars: "derp.home_moves_out",
    help: "Clients that chose another home and stayed connected.",
    read: ({ core }) => core.homeMovesOut,
  },
  {
    name: "derp_peer_gone_disconnected_frames",
    vars: "derp.peer_gone_disconnected_frames",
    help: "Clients told that a peer has left.",
    read: ({ core }) => core.peerGoneDisconnected,
  },
  {
    name: "derp_peer_gone_not_here_frames",
    vars: "derp.peer_gone_not_here_frames",
    help: "Clients told that a peer is not here.",
    read: ({ core }) => core.peerGoneNotHere,
  },
  {
    name: "derp_multiforwarder_created",
    vars: "derp.multiforwarder_created",
    help: "Keys that came to be reachable through several relays of the region.",
    read: ({ mesh }) => mesh.multiForwardersCreated,
  },
  {
    name: "derp_multiforwarder_deleted",
    vars: "derp.multiforwarder_deleted",
    help: "Keys that ceased to be reachable through several relays of the region.",
    read: ({ mesh }) => mesh.multiForwardersDeleted,
  },
  {
    name: "derp_packet_forwarder_delete_other_value",
    vars: "derp.packet_forwarder_delete_other_value",
    help: "Forwarders taken back when they were not the one in use.",
    read: ({ mesh }) => mesh.otherForwarderDeleted,
  },
  {
    name: "derp_sclient_write_timeouts",
    vars: "derp.sclient_write_timeouts",
    help: "Clients closed because they took no byte for too long.",
    read: ({ core }) => core.writeTimeouts,
  },
  {
    name: "derp_total_dup_client_conns",
    vars: "derp.counter_total_dup_client_conns",
    help: "Connections of a key that was connected already.",
    read: ({ core }) => core.duplicateConnections,
  },
  {
    name: "derp_unknown_frames",
    vars: "derp.unknown_frames",
    help: "Frames of a type that DERP does not know; derper never counts them.",
    read: ({ core }) => core.unknownFrames,
  },
  {
    name: "derp_websocket_accepts",
    vars: "derp_websocket_accepts",
    help: "Connections that speak DERP through WebSocket.",
    read: ({ webSocket }) => webSocket.accepts,
  },
  {
    name: "derp_rate_limit_per_client_waited",
    vars: "derp.rate_limit_per_client_waited",
    help: "Frames held up by a client's rate limit.",
    read: ({ rateLimit }) => rateLimit?.waited,
  },
  {
    name: "tls_listener_accepted_connections",
    vars: "tls_listener.counter_accepted_connections",
    help: "TCP connections accepted.",
    read: ({ tls }) => tls?.accepted,
  },
  {
    name: "tls_listener_rejected_connections",
    vars: "tls_listener.counter_rejected_connections",
    help: "TCP connections closed at once because of a limit.",
    read: ({ tls }) => tls?.rejected,
  },
  {
    name: "stun_requests",
    labels: ["disposition"],
    vars: "stun.counter_requests",
    help: "Datagrams on the STUN port, by what became of them.",
    read: ({ stun }) =>
      byLabel({
        not_stun: stun.notStun,
        read_error: stun.readError,
        success: stun.success,
        write_error: stun.writeError,
      }),
  },
  {
    name: "stun_addrfamily",
    labels: ["family"],
    vars: "stun.counter_addrfamily",
    help: "STUN requests, by the family of the sender's address.",
    read: ({ stun }) => byLabel({ ipv4: stun.ipv4, ipv6: stun.ipv6 }),
  },
  {
    name: "bootstrap_dns_requests",
    vars: "counter_bootstrap_dns_requests",
    help: "Requests for /bootstrap-dns.",
    read: ({ bootstrapDns }) => bootstrapDns.requests,
  },
  {
    name: "bootstrap_dns_published_hits",
    vars: "counter_bootstrap_dns_published_hits",
    help: "Questions to /bootstrap-dns for a published name that has addresses.",
    read: ({ bootstrapDns }) => bootstrapDns.publishedHits,
  },
  {
    name: "bootstrap_dns_published_misses",
    vars: "counter_bootstrap_dns_published_misses",
    help: "Questions to /bootstrap-dns for a published name that has none.",
    read: ({ bootstrapDns }) => bootstrapDns.publishedMisses,
  },
  {
    name: "bootstrap_dns_unpublished_hits",
    vars: "counter_bootstrap_dns_unpublished_hits",
    help: "Questions to /bootstrap-dns for an unpublished name that has addresses.",
    read: ({ bootstrapDns }) => bootstrapDns.unpublishedHits,
  },
  {
    name: "bootstrap_dns_unpublished_misses",
    vars: "counter_bootstrap_dns_unpublished_misses",
    help: "Questions to /bootstrap-dns for a name that is not published, unless an unpublished one answered it.",
    read: ({ bootstrapDns }) => bootstrapDns.unpublishedMisses,
  },
  {
    name: "bootstrap_dns_unpublished_percent_misses",
    vars: "counter_bootstrap_dns_unpublished_percent_misses",
    help: "Questions to /bootstrap-dns for an unpublished name that is not rolled out to the asker.",
    read: ({ bootstrapDns }) => bootstrapDns.unpublishedPercentMisses,
  },
  {
    name: "bootstrap_dns_queried_domains",
    vars: "counter_bootstrap_dns_queried_domains",
    help: "Different names that /bootstrap-dns was asked for.",
    read: ({ bootstrapDns }) => bootstrapDns.queriedDomains,
  },
  {
    name: "uptime_sec",
    vars: "counter_uptime_sec",
    help: "Seconds since the process began.",
    read: ({ facts }) => Math.round(facts.uptimeSeconds),
  },
  {
    name: "process_cpu_seconds_total",
    vars: "",
    help: "Processor time of the process, user and system, in seconds.",
    read: ({ facts }) => facts.cpuSeconds,
  },
];

const gauges: readonly Row[] = [
  {
    name: "derp_current_connections",
    vars: "derp.gauge_current_connections",
    help: "Connections that are logged in.",
    read: ({ core }) => core.connections,
  },
  {
    name: "derp_current_home_connections",
    vars: "derp.gauge_current_home_connections",
    help: "Connections of clients whose home this relay is.",
    read: ({ core }) => core.homeConnections,
  },
  {
    name: "derp_current_notideal_connections",
    vars: "derp.gauge_current_notideal_connections",
    help: "Connections of clients that named another relay as their ideal one.",
    read: ({ core }) => core.notIdealConnections,
  },
  {
    name: "derp_clients_total",
    vars: "derp.gauge_clients_total",
    help: "Keys that are connected to the region.",
    read: ({ clients, mesh }) => clients.keys + mesh.remoteKeys,
  },
  {
    name: "derp_clients_local",
    vars: "derp.gauge_clients_local",
    help: "Keys that are connected to this relay.",
    read: ({ clients }) => clients.keys,
  },
  {
    name: "derp_clients_remote",
    vars: "derp.gauge_clients_remote",
    help: "Keys that are connected to other relays of the region only.",
    read: ({ mesh }) => mesh.remoteKeys,
  },
  {
    name: "derp_current_dup_client_keys",
    vars: "derp.gauge_current_dup_client_keys",
    help: "Keys with more than one connection.",
    read: ({ clients }) => clients.duplicateKeys,
  },
  {
    name: "derp_current_dup_client_conns",
    vars: "derp.gauge_current_dup_client_conns",
    help: "Connections of the keys that have more than one.",
    read: duplicateConnections,
  },
  {
    name: "derp_watchers",
    vars: "derp.gauge_watchers",
    help: "Connections that are told who comes and goes: other relays of the region.",
    read: ({ mesh }) => mesh.watchers,
  },
  {
    name: "derp_current_file_descriptors",
    vars: "derp.gauge_current_file_descriptors",
    help: "Open file descriptors.",
    read: ({ facts }) => facts.openFiles,
  },
  {
    name: "derper_tls_active_version",
    labels: ["version"],
    vars: "gauge_derper_tls_active_version",
    help: "HTTP requests that are not finished, DERP connections among them, by version of TLS.",
    read: ({ tls }) => tls && byLabel(tls.active),
  },
  {
    name: "process_open_fds",
    vars: "",
    help: "Open file descriptors.",
    read: ({ facts }) => facts.openFiles,
  },
  {
    name: "process_max_fds",
    vars: "",
    help: "Most file descriptors that the process may have open.",
    read: ({ facts }) => facts.maxOpenFiles,
  },
  {
    name: "process_resident_memory_bytes",
    vars: "",
    help: "Memory that the process holds.",
    read: ({ facts }) => facts.residentBytes,
  },
  {
    name: "process_virtual_memory_bytes",
    vars: "",
    help: "Address space that the process has reserved; the JavaScript engine reserves far more than it uses.",
    read: ({ facts }) => facts.virtualBytes,
  },
  {
    name: "process_virtual_memory_max_bytes",
    vars: "",
    help: "Most address space that the process may reserve.",
    read: ({ facts }) => facts.maxVirtualBytes,
  },
  {
    name: "process_start_time_seconds",
    vars: "",
    help: "When the process began, in seconds since 1970.",
    read: ({ facts }) => facts.startTimeSeconds,
  },
];

const untyped: readonly Row[] = [
  {
    name: "derp_average_queue_duration_ms",
    vars: "derp.average_queue_duration_ms",
    help: "Milliseconds that a packet waits before it is written, as an exponential average.",
    read: ({ queues }) => queues?.averageMs,
  },
  {
    name: "derp_rate_limit_per_client_bytes_per_second",
    vars: "derp.rate_limit_per_client_bytes_per_second",
    help: "Bytes a second that a client may send; 0 for no limit.",
    read: ({ rateLimit }) => rateLimit?.bytesPerSecond,
  },
  {
    name: "derp_rate_limit_per_client_burst_bytes",
    vars: "derp.rate_limit_per_client_burst_bytes",
    help: "Bytes that a client may send at once.",
    read: ({ rateLimit }) => rateLimit?.burstBytes,
  },
  {
    name: "derper_tls_request_version",
    labels: ["version"],
    vars: "derper_tls_request_version",
    help: "HTTP requests, those that became DERP connections among them, by version of TLS.",
    read: ({ tls }) => tls && byLabel(tls.requests),
  },
  {
    name: "node_boot_time_seconds",
    vars: "node_boot_time_seconds",
    help: "When the machine began, in seconds since 1970.",
    read: ({ facts }) => facts.bootTimeSeconds,
  },
  {
    name: "process_start_unix_time",
    vars: "process_start_unix_time",
    help: "When the process began, in whole seconds since 1970.",
    read: ({ facts }) => Math.floor(facts.startTimeSeconds),
  },
  {
    name: "version",
    labels: ["version", "binary"],
    vars: "",
    help: "Always 1; the label says which version runs.",
    read: ({ facts }) => [{ labels: [facts.version, "derper"], value: 1 }],
  },
];

const histograms: readonly Row[] = [
  {
    name: "derp_buffered_write_frames",
    vars: "derp.counter_buffered_write_frames",
    help: "Frames that left in one write.",
    read: ({ queues }) => queues?.framesPerWrite,
  },
  {
    name: "derp_mesh_update_batch_size",
    vars: "derp.counter_mesh_update_batch_size",
    help: "News about clients that a watcher got in one go.",
    read: ({ mesh }) => mesh.batchSize,
  },
  {
    name: "derp_mesh_update_loop_count",
    vars: "derp.counter_mesh_update_loop_count",
    help: "Rounds that it took to tell a watcher the news about clients.",
    read: ({ mesh }) => mesh.loopCount,
  },
];

export const metrics: readonly Metric[] = [
  ...typed("counter", counters),
  ...typed("gauge", gauges),
  ...typed("untyped", untyped),
  ...typed("histogram", histograms),
  ...ownMetrics,
].sort((one, other) => (one.name < other.name ? -1 : 1));

/** What derper exports and the relay does not. `*` in a name stands for any ending. */
export const absentMetrics: readonly { readonly name: string; readonly why: string }[] = [
  { name: "derp_tcp_rtt", why: "Node.js has no way to ask the system for a connection's round-trip time." },
  {
    name: "derp_memstats_sys0",
    why: "Go: its allocator's memory at the start. `process_resident_memory_bytes` is what the relay holds.",
  },
  { name: "go_*", why: "Go: its version, garbage collector, scheduler and locks." },
  { name: "goroutines", why: "Go." },
  { name: "memstats_*", why: "Go: its allocator." },
  {
    name: "process_network_*",
    why: "Linux counts these for the whole network namespace, not for one process alone.",
  },
];

function typed(type: MetricType, rows: readonly Row[]): Metric[] {
  return rows.map((row) => ({ ...row, type }));
}

/** One sample for each key, which is the value of the one label. */
function byLabel<Key extends string>(values: Readonly<Record<Key, number>>): Sample[] {
  return Object.entries<number>(values).map(([key, value]) => ({ labels: [key], value }));
}

function dropped({ core }: MetricSources, what: "packets" | "bytes"): Sample[] {
  return [...dropReasons].sort().flatMap((reason) =>
    (["disco", "other"] as const).map((kind) => ({
      labels: [reason, kind],
      value: core.dropped[reason][what][kind],
    })),
  );
}

/** All connections but one for each key are extra ones; a key that has extra ones counts with all of its own. */
function duplicateConnections({ core, clients }: MetricSources): number | undefined {
  const { keys, duplicateKeys } = clients;
  return duplicateKeys === undefined ? undefined : core.connections - keys + duplicateKeys;
}
