import assert from "node:assert/strict";
import { test } from "node:test";
import { maxPacket } from "../protocol/frame.ts";
import { Client, discoPacket, Stage } from "../testing/cast.ts";
import { renderVars } from "./expvar.ts";
import { createHistogram, writeFramesBounds } from "../core/histogram.ts";
import { absentMetrics, metrics } from "./metrics.ts";
import { ownMetrics } from "./own-metrics.ts";
import { renderPrometheus } from "./prometheus.ts";
import { coreSources } from "./core-sources.ts";
import type { MetricSources } from "./sources.ts";
import { derperSeries, derperVars, type Series } from "./testing/derper.ts";
import { freshSources, idleMesh } from "./testing/sources.ts";

/** Each series with its type and number, as Prometheus reads the text. */
function scrape(sources: MetricSources): Map<string, { type: string; value: number }> {
  const types = new Map<string, string>();
  const series = new Map<string, { type: string; value: number }>();
  for (const line of renderPrometheus(sources).split("\n")) {
    const [, name = "", declared = ""] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== "") types.set(name, declared);
    const [, key = "", value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (key === "") continue;
    const own = key.replace(/\{.*/, "");
    const type = types.get(own) ?? types.get(own.replace(/_(bucket|sum|count)$/, "")) ?? "no type line";
    assert.equal(series.has(key), false, `${key} is there twice`);
    series.set(key, { type, value: Number(value) });
  }
  return series;
}

/** The numbers of a scrape that are not 0, but for what tells of the process. */
function counted(sources: MetricSources): Record<string, number> {
  const numbers = [...scrape(sources)].map(([key, { value }]) => [key, value] as const);
  return Object.fromEntries(
    numbers.filter(([key, value]) => value !== 0 && !/^(?:process_|node_|version|uptime_)/.test(key)),
  );
}

function isAbsent(name: string): boolean {
  return absentMetrics.some((absent) =>
    absent.name.endsWith("*") ? name.startsWith(absent.name.slice(0, -1)) : name === absent.name,
  );
}

/** derper's line as ours has it: the version is each program's own. */
function nameOf({ name, labels }: Series): string {
  return name + labels.replace('version="..."', 'version="1.102.5"');
}

test("115. every name that derper exports at the start is there with its type, or is listed as absent", () => {
  const ours = scrape(freshSources());
  for (const series of derperSeries) {
    const found = ours.get(nameOf(series));
    if (isAbsent(series.name)) assert.equal(found, undefined, `${series.name} is listed as absent`);
    else assert.equal(found?.type, series.type, nameOf(series));
  }
});

test("115. what has a name that derper does not have is ours, and says so", () => {
  const names = new Set(derperSeries.map(({ name }) => name.replace(/_(bucket|sum|count)$/, "")));
  const others = metrics.map(({ name }) => name).filter((name) => !names.has(name));
  assert.deepEqual(others.toSorted(), ownMetrics.map(({ name }) => name).toSorted());
  for (const name of others) assert.match(name, /^derpkit_[a-z_]+$/);
});

test("each mode of admission has its numbers, in both pages, and a list's age is there once it is known", () => {
  const url = {
    queries: 5,
    allow: 2,
    deny: 1,
    unknown: 1,
    cached: 7,
    failures: { error: 0, timeout: 1 },
  };
  const api = { ...url, list: { keys: 12, ageMs: 2_500, reads: 4, failedReads: 1 } };
  const file = { ...url, list: { keys: 0, ageMs: undefined, reads: 1, failedReads: 1 } };
  const admission = {
    modes: { "allow-list": file, "tailnet-api": api, "verify-url": url },
    ended: { denied: 3, stale: 0 },
    watched: 9,
  };
  const own = [...scrape(freshSources({ admission }))].filter(([key]) => key.startsWith("derpkit_admission"));
  const values = Object.fromEntries(
    own.map(([key, { value }]) => [key.replace("derpkit_admission_", ""), value]),
  );
  assert.equal(own.length, 3 * (1 + 3 + 2 + 1) + 2 * 3 + 1 + 2 + 1);
  for (const [series, value] of Object.entries({
    'queries{mode="verify-url"}': 5,
    'answers{mode="verify-url",answer="deny"}': 1,
    'unknown{mode="verify-url",failure="timeout"}': 1,
    'cached{mode="verify-url"}': 7,
    'list_reads{mode="tailnet-api",result="read"}': 3,
    'list_reads{mode="tailnet-api",result="failed"}': 1,
    'list_keys{mode="tailnet-api"}': 12,
    'list_age_seconds{mode="tailnet-api"}': 2.5,
    'sessions_ended{reason="denied"}': 3,
    'sessions_ended{reason="stale"}': 0,
    sessions_watched: 9,
  }))
    assert.equal(values[series], value, series);
  const vars = JSON.parse(renderVars(freshSources({ admission }))) as Record<string, unknown>;
  assert.deepEqual(vars["derpkit_admission_list_keys"], { "allow-list": 0, "tailnet-api": 12 });
  assert.deepEqual((vars["derpkit_admission_answers"] as Record<string, unknown>)["verify-url"], {
    allow: 2,
    deny: 1,
    unknown: 1,
  });
});

test("an unhealthy relay shows 0, and one that does not probe itself nothing about its health", () => {
  const of = (health: MetricSources["health"]): string[] =>
    [...scrape(freshSources({ health }))]
      .filter(([key]) => key.startsWith("derpkit_health"))
      .map(([key, { value }]) => `${key} ${value}`);
  assert.deepEqual(of({ failing: ["stun-ipv4"], probes: new Map() }), [
    "derpkit_health_ok 0",
    "derpkit_health_stun_silenced 0",
  ]);
  assert.deepEqual(of(undefined), []);
});

test("an updater shows what it says of itself, and one that says nothing shows nothing", () => {
  const of = (updater: MetricSources["updater"]): string[] =>
    [...scrape(freshSources({ updater }))]
      .filter(([key]) => key.startsWith("derpkit_updater"))
      .map(([key, { value }]) => `${key} ${value}`);
  assert.deepEqual(of({ sequence: 41, refused: false, ageSeconds: 12.5 }), [
    "derpkit_updater_refused 0",
    "derpkit_updater_sequence 41",
    "derpkit_updater_status_age_seconds 12.5",
  ]);
  assert.deepEqual(of({ sequence: undefined, refused: true, ageSeconds: 1 }), [
    "derpkit_updater_refused 1",
    "derpkit_updater_status_age_seconds 1",
  ]);
  assert.deepEqual(of(undefined), []);
});

test("a certificate shows the days that it has left, and one that is renewed here when and how that goes", () => {
  const renewal = {
    nextAttemptSeconds: 1_700_000_000,
    overdue: true,
    failures: 3,
    lastFailure: "dns",
    issued: 1,
    failed: 4,
  };
  const certificates = [
    { name: "a.example", secondsLeft: 43_200, renewal },
    { name: "192.0.2.1", secondsLeft: -86_400, renewal: undefined },
    { name: "new.example", secondsLeft: undefined, renewal: { ...renewal, nextAttemptSeconds: undefined } },
  ];
  const of = (sources: Partial<MetricSources>): string[] =>
    [...scrape(freshSources(sources))]
      .filter(([key]) => key.startsWith("derpkit_certificate"))
      .map(([key, { value }]) => `${key.replace("derpkit_certificate_", "")} ${value}`)
      .toSorted();
  assert.deepEqual(of({ certificates: certificates.slice(0, 2) }), [
    'days_left{name="192.0.2.1"} -1',
    'days_left{name="a.example"} 0.5',
    'failures_in_a_row{name="a.example",last_error="dns"} 3',
    'next_attempt_seconds{name="a.example"} 1700000000',
    'orders{name="a.example",result="failed"} 4',
    'orders{name="a.example",result="issued"} 1',
    'renewal_overdue{name="a.example"} 1',
  ]);
  assert.deepEqual(of({ certificates: certificates.slice(2) }), [
    'failures_in_a_row{name="new.example",last_error="dns"} 3',
    'orders{name="new.example",result="failed"} 4',
    'orders{name="new.example",result="issued"} 1',
    'renewal_overdue{name="new.example"} 1',
  ]);
  assert.deepEqual(of({}), []);
});

test("where everybody may connect there is nothing about admission", () => {
  assert.deepEqual(
    [...scrape(freshSources()).keys()].filter((key) => key.startsWith("derpkit_admission")),
    [],
  );
});

test("115. every absent name is one that derper has", () => {
  for (const { name, why } of absentMetrics) {
    const matches = ({ name: other }: Series): boolean =>
      name.endsWith("*") ? other.startsWith(name.slice(0, -1)) : other === name;
    assert.ok(derperSeries.some(matches), `derper has no ${name}`);
    assert.match(why, /\.$/);
  }
});

test("115. on a fresh relay all that counts is 0, and the 14 drop pairs exist", () => {
  assert.deepEqual(counted(freshSources()), { derp_current_file_descriptors: 13 });
  const pairs = [...scrape(freshSources()).keys()].filter((key) => key.startsWith("derp_packets_dropped{"));
  assert.equal(pairs.length, 14);
});

test("115. what nobody measures is left out, and never shows as 0", () => {
  const measured = [...scrape(freshSources()).keys()];
  const unmeasured = freshSources({
    clients: { keys: 0, duplicateKeys: undefined },
    queues: undefined,
    tls: undefined,
    rateLimit: undefined,
  });
  const left = new Set(scrape(unmeasured).keys());
  const gone = measured
    .filter((key) => !left.has(key))
    .map((key) => key.replace(/(?:_bucket|_sum|_count)?(?:\{.*)?$/, ""));
  assert.deepEqual(
    [...new Set(gone)],
    [
      "derp_average_queue_duration_ms",
      "derp_buffered_write_frames",
      "derp_current_dup_client_conns",
      "derp_current_dup_client_keys",
      "derp_rate_limit_per_client_burst_bytes",
      "derp_rate_limit_per_client_bytes_per_second",
      "derp_rate_limit_per_client_waited",
      "derper_tls_active_version",
      "derper_tls_request_version",
      "derpkit_queue_memory_bytes",
      "tls_listener_accepted_connections",
      "tls_listener_rejected_connections",
    ],
  );
});

test("116. packets, bytes and drops equal known traffic exactly, contents only", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const bob = stage.join("bob");
  const bobAgain = stage.join("bob");
  const nobody = new Client(stage, "nobody");
  alice.send(bob, Buffer.alloc(100));
  alice.send(bob, discoPacket(62));
  bobAgain.send(alice, Buffer.alloc(maxPacket));
  bob.send(nobody, Buffer.alloc(7));
  bob.send(nobody, discoPacket(70));
  stage.pass();
  const { core, clients, mesh, webSocket } = coreSources(stage.core);
  const sources = freshSources({ core, clients, mesh, webSocket });
  const bytes = 100 + 62 + maxPacket;
  assert.deepEqual(counted(sources), {
    derp_accepts: 4,
    'derp_bytes_dropped{reason="unknown_dest",kind="disco"}': 70,
    'derp_bytes_dropped{reason="unknown_dest",kind="other"}': 7,
    derp_bytes_received: bytes + 7 + 70,
    derp_bytes_sent: bytes,
    derp_clients_local: 2,
    derp_clients_total: 2,
    derp_current_connections: 3,
    derp_current_dup_client_conns: 2,
    derp_current_dup_client_keys: 1,
    derp_current_file_descriptors: 13,
    'derp_packets_dropped{reason="unknown_dest",kind="disco"}': 1,
    'derp_packets_dropped{reason="unknown_dest",kind="other"}': 1,
    derp_packets_received: 5,
    'derp_packets_received_kind{kind="disco"}': 2,
    'derp_packets_received_kind{kind="other"}': 3,
    derp_packets_sent: 3,
    derp_peer_gone_not_here_frames: 1,
    derp_total_dup_client_conns: 1,
  });
});

test("each number of a source stands under its own name", () => {
  const sources = freshSources({
    mesh: {
      ...idleMesh,
      watchers: 1,
      remoteKeys: 2,
      forwardedIn: 3,
      forwardedOut: 4,
      multiForwardersCreated: 5,
      multiForwardersDeleted: 6,
      otherForwarderDeleted: 7,
    },
    webSocket: { accepts: 8 },
    bootstrapDns: {
      requests: 9,
      publishedHits: 10,
      publishedMisses: 11,
      unpublishedHits: 12,
      unpublishedMisses: 13,
      unpublishedPercentMisses: 14,
      queriedDomains: 15,
    },
    rateLimit: { bytesPerSecond: 16, burstBytes: 17, waited: 18 },
    tls: { accepted: 19, rejected: 20, requests: { "1.2": 21, "1.3": 22 }, active: { "1.2": 23, "1.3": 24 } },
    stun: { success: 25, notStun: 26, readError: 27, writeError: 28, ipv4: 29, ipv6: 30, silenced: 38 },
    clients: { keys: 31, duplicateKeys: undefined },
    queues: { averageMs: 0.5, framesPerWrite: createHistogram(writeFramesBounds), memoryBytes: 34 },
    refused: { total: 35, source: 36, key: 37 },
    health: { failing: [], probes: new Map([["stun-ipv4", { passed: 39, failed: 40 }]]) },
  });
  assert.deepEqual(counted(sources), {
    bootstrap_dns_published_hits: 10,
    bootstrap_dns_published_misses: 11,
    bootstrap_dns_queried_domains: 15,
    bootstrap_dns_requests: 9,
    bootstrap_dns_unpublished_hits: 12,
    bootstrap_dns_unpublished_misses: 13,
    bootstrap_dns_unpublished_percent_misses: 14,
    derp_average_queue_duration_ms: 0.5,
    derp_clients_local: 31,
    derp_clients_remote: 2,
    derp_clients_total: 33,
    derp_current_file_descriptors: 13,
    derp_multiforwarder_created: 5,
    derp_multiforwarder_deleted: 6,
    derp_packet_forwarder_delete_other_value: 7,
    derp_packets_forwarded_in: 3,
    derp_packets_forwarded_out: 4,
    derp_rate_limit_per_client_burst_bytes: 17,
    derp_rate_limit_per_client_bytes_per_second: 16,
    derp_rate_limit_per_client_waited: 18,
    derp_watchers: 1,
    derp_websocket_accepts: 8,
    'derpkit_connections_refused{limit="key"}': 37,
    'derpkit_connections_refused{limit="source"}': 36,
    'derpkit_connections_refused{limit="total"}': 35,
    derpkit_health_ok: 1,
    'derpkit_health_probes{probe="stun-ipv4",result="failed"}': 40,
    'derpkit_health_probes{probe="stun-ipv4",result="passed"}': 39,
    derpkit_health_stun_silenced: 38,
    derpkit_queue_memory_bytes: 34,
    'derper_tls_active_version{version="1.2"}': 23,
    'derper_tls_active_version{version="1.3"}': 24,
    'derper_tls_request_version{version="1.2"}': 21,
    'derper_tls_request_version{version="1.3"}': 22,
    'stun_addrfamily{family="ipv4"}': 29,
    'stun_addrfamily{family="ipv6"}': 30,
    'stun_requests{disposition="not_stun"}': 26,
    'stun_requests{disposition="read_error"}': 27,
    'stun_requests{disposition="success"}': 25,
    'stun_requests{disposition="write_error"}': 28,
    tls_listener_accepted_connections: 19,
    tls_listener_rejected_connections: 20,
  });
});

test("/debug/vars is derper's, line by line, but for what is absent", () => {
  const sources = freshSources({
    tls: { accepted: 2, rejected: 0, requests: { "1.2": 0, "1.3": 2 }, active: { "1.2": 0, "1.3": 1 } },
    rateLimit: { bytesPerSecond: 1_250_000, burstBytes: 100_000, waited: 0 },
  });
  const text = renderVars(sources);
  const ours = new Set(text.split("\n").map((line) => line.replace(/,$/, "")));
  const differing = derperVars
    .map((line) => line.replace('"counter_tcp_rtt": {}, ', "").replace(/"gauge_memstats_sys0": \d+, /, ""))
    .filter((line) => !ours.has(line))
    .map((line) => /^"([^"]+)"/.exec(line)?.[1]);
  assert.deepEqual(differing, [
    "derp_bytes_dropped", // an object here
    "derp_packets_dropped",
    "derper_tls_request_version", // has 1.2 from the start
    "gauge_derper_tls_active_version",
    "gauge_goroutines",
    "go_sync_mutex_wait_seconds",
    "go_version",
    "memstats",
  ]);
  const parsed = JSON.parse(text) as Record<string, Record<string, unknown>>;
  assert.deepEqual(parsed["gauge_derper_tls_active_version"], { "1.2": 0, "1.3": 1 });
  assert.deepEqual(parsed["derp_packets_dropped"]?.["dup_client"], { disco: 0, other: 0 });
  assert.deepEqual(Object.keys(parsed), Object.keys(parsed).toSorted());
});
