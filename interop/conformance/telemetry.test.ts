/** Statements 32, 53, 55, 61, 66, 71, 107 as far as they count something, and 114 to 117. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { FrameType, PeerGoneReason } from "../../relay/protocol/frame.ts";
import { generatePrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { dropReasons } from "../../relay/core/counters.ts";
import { discoPacket } from "../../relay/testing/cast.ts";
import { join } from "./client.ts";
import { ask, get, headerOf } from "./http.ts";
import { metricsBecome, readMetrics } from "./metrics.ts";
import { statement } from "./suite.ts";

const own = { relay: {} };

statement(
  "32. Given `Ideal-Node: 1a`, then the connection counts as not ideal (gauge).",
  async (rig) => {
    const count = "derp_current_notideal_connections";
    await join(rig);
    await metricsBecome(rig.relay, { [count]: 0, derp_current_connections: 1 });
    const away = await join(rig, { headers: ["Ideal-Node: 1a"] });
    await join(rig, { headers: ["Ideal-Node: "] });
    await metricsBecome(rig.relay, { [count]: 1, derp_current_connections: 3 });
    await away.leave();
    await metricsBecome(rig.relay, { [count]: 0, derp_current_connections: 2 });
  },
  own,
);

statement(
  "61. Given a stopped receiver for longer than the write timeout with data pending, then `sclient_write_timeouts` +1.",
  async (rig) => {
    const [sender, stopped] = [await join(rig), await join(rig)];
    stopped.send(sender, "hello");
    await sender.receives(stopped, "hello");
    stopped.socket.pause();
    await sender.floods(stopped);
    await metricsBecome(rig.relay, { derp_sclient_write_timeouts: 1 });
  },
  { ...own, relay: { flags: { "tcp-write-timeout": "500ms" } } },
);

statement(
  "66. Given NotePreferred 1,1,0,0 then 1 and disconnect, then `current_home_connections` follows 1,1,0,0,1,0.",
  async (rig) => {
    const client = await join(rig);
    for (const preferred of [1, 1, 0, 0, 1]) {
      client.frame(FrameType.notePreferred, Buffer.of(preferred));
      await client.sync();
      await metricsBecome(rig.relay, { derp_current_home_connections: preferred });
    }
    await client.leave();
    await metricsBecome(rig.relay, { derp_current_home_connections: 0, derp_home_moves_in: 0 });
  },
  own,
);

statement(
  "71. Given c1 then c2 with the same key, then duplicate gauges keys 1, connections 2; when c1 goes, gauges are 0.",
  async (rig) => {
    const expectGauges = (keys: number, conns: number, total: number): Promise<void> =>
      metricsBecome(rig.relay, {
        derp_current_dup_client_keys: keys,
        derp_current_dup_client_conns: conns,
        derp_total_dup_client_conns: total,
      });
    const privateKey = generatePrivateKey();
    const c1 = await join(rig, { privateKey });
    await expectGauges(0, 0, 0);
    await join(rig, { privateKey });
    await expectGauges(1, 2, 1);
    const c3 = await join(rig, { privateKey });
    await expectGauges(1, 3, 2);
    await c3.leave();
    await expectGauges(1, 2, 2);
    await c1.leave();
    await expectGauges(0, 0, 2);
  },
  own,
);

statement(
  "107. Given what is no request of a client, then `not_stun` +1.",
  async ({ t, relay }) => {
    const socket = createSocket("udp4");
    t.after(() => socket.close());
    socket.send(Buffer.alloc(20), relay.stunPort, "127.0.0.1");
    await metricsBecome(relay, {
      'stun_requests{disposition="not_stun"}': 1,
      'stun_requests{disposition="success"}': 0,
    });
  },
  own,
);

statement(
  "114. Given `/debug/varz` from loopback, then 200; with `X-Forwarded-For`, then 403 `debug access denied`.",
  async ({ relay }) => {
    await readMetrics(relay);
    for (const path of ["/debug/varz", "/debug/", "/debug/vars", "/debug/check"]) {
      const refused = await ask(relay, get(path, ["X-Forwarded-For: 192.0.2.1"]));
      assert.equal(refused.statusLine, "HTTP/1.1 403 Forbidden", path);
      assert.equal(refused.body, "debug access denied\n");
      assert.equal((await ask(relay, get(path))).statusLine, "HTTP/1.1 200 OK", path);
    }
  },
);

const countersAtStart = [
  "derp_accepts",
  "derp_bytes_received",
  "derp_bytes_sent",
  "derp_packets_received",
  "derp_packets_sent",
  'derp_packets_received_kind{kind="disco"}',
  'derp_packets_received_kind{kind="other"}',
  "derp_packets_forwarded_in",
  "derp_packets_forwarded_out",
  "derp_got_ping",
  "derp_sent_pong",
  "derp_home_moves_in",
  "derp_home_moves_out",
  "derp_peer_gone_disconnected_frames",
  "derp_peer_gone_not_here_frames",
  "derp_multiforwarder_created",
  "derp_multiforwarder_deleted",
  "derp_packet_forwarder_delete_other_value",
  "derp_sclient_write_timeouts",
  "derp_total_dup_client_conns",
  "derp_unknown_frames",
  "derp_websocket_accepts",
  "bootstrap_dns_requests",
  "bootstrap_dns_published_hits",
  "bootstrap_dns_published_misses",
  "bootstrap_dns_unpublished_hits",
  "bootstrap_dns_unpublished_misses",
  "bootstrap_dns_unpublished_percent_misses",
  "bootstrap_dns_queried_domains",
];
const gaugesAtStart = [
  "derp_current_connections",
  "derp_current_home_connections",
  "derp_current_notideal_connections",
  "derp_clients_total",
  "derp_clients_local",
  "derp_clients_remote",
  "derp_current_dup_client_keys",
  "derp_current_dup_client_conns",
  "derp_watchers",
];
const pairs = dropReasons.flatMap((reason) =>
  ["disco", "other"].flatMap((kind) =>
    ["packets", "bytes"].map((unit) => `derp_${unit}_dropped{reason="${reason}",kind="${kind}"}`),
  ),
);

statement(
  "115. Given a fresh server, then every name that is exported at start is present with value 0 and right type line; the 14 drop pairs exist.",
  async ({ relay }) => {
    const zero = [...countersAtStart, ...gaugesAtStart, ...pairs];
    await metricsBecome(relay, Object.fromEntries(zero.map((name) => [name, 0])));
    const { body } = await ask(relay, get("/debug/varz"));
    for (const name of countersAtStart)
      assert.ok(body.includes(`# TYPE ${withoutLabels(name)} counter\n`), name);
    for (const name of gaugesAtStart) assert.ok(body.includes(`# TYPE ${name} gauge\n`), name);
  },
  own,
);

function withoutLabels(name: string): string {
  return name.replace(/\{.*/, "");
}

statement(
  "116. Given known traffic, then packets/bytes/drops counters equal it exactly (contents only).",
  async (rig) => {
    const [alice, bob] = [await join(rig), await join(rig)];
    const nobody = publicKeyOf(generatePrivateKey());
    for (const length of [0, 1, 1_000, 65_536]) {
      alice.send(bob, Buffer.alloc(length));
      await bob.receives(alice, Buffer.alloc(length));
    }
    alice.send(bob, discoPacket());
    await bob.receives(alice, discoPacket());
    alice.send(nobody, Buffer.alloc(10));
    alice.send(nobody, discoPacket(61));
    alice.send(nobody, discoPacket());
    await alice.hearsGone(nobody, PeerGoneReason.notHere);
    alice.frame(FrameType.ping, Buffer.alloc(8));
    assert.equal((await alice.next()).type, FrameType.pong);
    await alice.leave();
    await bob.hearsGone(alice.key, PeerGoneReason.disconnected);
    await metricsBecome(rig.relay, {
      derp_accepts: 2,
      derp_packets_received: 8,
      derp_bytes_received: 66_537 + 62 + 10 + 61 + 62,
      'derp_packets_received_kind{kind="disco"}': 2,
      'derp_packets_received_kind{kind="other"}': 6,
      derp_packets_sent: 5,
      derp_bytes_sent: 66_537 + 62,
      'derp_packets_dropped{reason="unknown_dest",kind="disco"}': 1,
      'derp_packets_dropped{reason="unknown_dest",kind="other"}': 2,
      'derp_bytes_dropped{reason="unknown_dest",kind="disco"}': 62,
      'derp_bytes_dropped{reason="unknown_dest",kind="other"}': 71,
      'derp_packets_dropped{reason="queue_head",kind="other"}': 0,
      derp_peer_gone_not_here_frames: 1,
      derp_peer_gone_disconnected_frames: 1,
      derp_got_ping: 1,
      derp_sent_pong: 1,
      derp_current_connections: 1,
    });
  },
  own,
);

statement(
  "116. Given frames of an unknown type, then they are counted (Q8).",
  async (rig) => {
    const client = await join(rig);
    client.frame(0x77);
    await client.sync();
    await metricsBecome(rig.relay, { derp_unknown_frames: rig.differs("Q8", { derper: 0, ours: 1 }) });
  },
  own,
);

statement(
  "117. Given `/debug/check` on a healthy server, then 200 and the sentence `derp.Server ConsistencyCheck okay`.",
  async (rig) => {
    await join(rig);
    const answer = await ask(rig.relay, get("/debug/check"));
    assert.equal(answer.statusLine, "HTTP/1.1 200 OK");
    assert.equal(answer.body.trim(), "derp.Server ConsistencyCheck okay");
    assert.match(headerOf(answer, "Content-Type") ?? "", /^text\/plain/);
  },
  own,
);
