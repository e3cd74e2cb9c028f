/** Statements 88 and 90 to 93: relays of a region that are linked with each other, and what becomes of the links. */
import assert from "node:assert/strict";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { certificatePaths } from "../../relay/config/certificate-files.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { FrameType, PeerGoneReason } from "../../relay/protocol/frame.ts";
import { discoPacket } from "../../relay/testing/cast.ts";
import { type Client, join } from "./client.ts";
import { metricsBecome, readMetrics } from "./metrics.ts";
import { type RelayKind, type RelayUnderTest, startRelayUnderTest, whyMissing } from "./relay-under-test.ts";
import { freePort } from "../test-ports.ts";
import { ownFiles, perRelay } from "./suite.ts";
import { openWay, type Way } from "./way.ts";

const meshKey = "0123456789abcdef".repeat(4);
const meshInfo = JSON.stringify({ meshKey, version: 2, CanAckPings: false });
/** Both relays wait for so long before they dial again. */
const retryMs = 5_000;

/** What stands beside the relay under test: a derper if there is one. */
function partnerOf(kind: RelayKind): RelayKind {
  return whyMissing("derper") === undefined ? "derper" : kind;
}

interface Region {
  readonly relays: readonly RelayUnderTest[];
  /** Those that the first relay dials, in the order of `meshWith`. */
  readonly ways: readonly Way[];
}

/** Starts the relays of a region. @param meshWith for each, the indexes of those that it dials */
async function startRegion(
  t: TestContext,
  kinds: readonly RelayKind[],
  meshWith: readonly (readonly number[])[],
): Promise<Region> {
  const files = await Promise.all(kinds.map(() => ownFiles(t)));
  const ports = await Promise.all(kinds.map(() => freePort("tcp")));
  const ways = await Promise.all(
    meshWith.map((targets) => Promise.all(targets.map((target) => openWay(t, ports[target] ?? 0)))),
  );
  const [first] = files;
  assert.ok(first !== undefined);
  const start = async (kind: RelayKind, index: number): Promise<RelayUnderTest> => {
    const own = files[index] ?? first;
    // One certificate for all, so that whoever trusts it trusts each of them.
    if (own !== first)
      await cp(path.join(first.folder, "certs"), path.join(own.folder, "certs"), { recursive: true });
    const keyFile = path.join(own.folder, "mesh.key");
    await writeFile(keyFile, meshKey);
    const others = (ways[index] ?? []).map(({ port }) => `${first.hostName}:${port}/127.0.0.1`).join(",");
    const relay = await startRelayUnderTest(kind, own, {
      ...(ports[index] === undefined ? {} : { derpPort: ports[index] }),
      flags: { "mesh-psk-file": keyFile, "mesh-with": others === "" ? undefined : others },
      env: { SSL_CERT_FILE: certificatePaths(path.join(first.folder, "certs"), first.hostName).crt },
    });
    t.after(() => relay.stop());
    return relay;
  };
  return { relays: await Promise.all(kinds.map(start)), ways: ways[0] ?? [] };
}

/** A relay that dials another one knows itself as that one's client: so many are there before anybody has come. */
const linked = { derp_clients_remote: 1 };

/** Two relays, of which the first dials the second. */
async function startPair(
  t: TestContext,
  kind: RelayKind,
): Promise<{ active: RelayUnderTest; passive: RelayUnderTest; way: Way }> {
  const { relays, ways } = await startRegion(t, [kind, partnerOf(kind)], [[1]]);
  const [[active, passive], [way]] = [relays, ways];
  assert.ok(active !== undefined && passive !== undefined && way !== undefined);
  await metricsBecome(active, linked);
  return { active, passive, way };
}

perRelay(
  "88. Given a client that joins and leaves several relays, then those that it is reached through and the two multi-forwarder counters match at each step, also while it is local.",
  {},
  async (t, kind) => {
    const partner = partnerOf(kind);
    const { relays } = await startRegion(t, [kind, partner, partner], [[1, 2]]);
    const [active, older, newer] = relays;
    assert.ok(active !== undefined && older !== undefined && newer !== undefined);
    // Each of the two knows the active one itself, which is therefore reached in two ways.
    const [created, deleted] = ["derp_multiforwarder_created", "derp_multiforwarder_deleted"];
    await metricsBecome(active, { ...linked, [created]: 1 });
    const expectState = (remote: number, local: number, counters: readonly [number, number]): Promise<void> =>
      metricsBecome(active, {
        derp_clients_remote: 1 + remote,
        derp_clients_local: local,
        [created]: 1 + counters[0],
        [deleted]: counters[1],
      });
    const alice = await join({ t, relay: active });
    const privateKey = generatePrivateKey();
    const enter = (relay: RelayUnderTest): Promise<Client> => join({ t, relay }, { privateKey });
    const expectReached = async (client: Client): Promise<void> => {
      alice.send(client, "who is it?");
      await client.receives(alice, "who is it?");
    };
    const atOlder = await enter(older);
    await expectState(1, 1, [0, 0]);
    const atNewer = await enter(newer);
    await expectState(1, 1, [1, 0]);
    await expectReached(atOlder);
    await atNewer.hearsNothing();
    await atOlder.leave();
    await expectState(1, 1, [1, 1]);
    await expectReached(atNewer);
    // While it is here it counts as local alone; what is known beside that shows when it leaves.
    const here = await enter(active);
    await expectState(0, 2, [1, 1]);
    await expectReached(here);
    await atNewer.leave();
    await here.leave();
    await expectState(0, 1, [1, 1]);
    const hereAgain = await enter(active);
    const again = await enter(newer);
    await expectState(0, 2, [1, 1]);
    await expectReached(hereAgain);
    await hereAgain.leave();
    await expectState(1, 1, [1, 1]);
    await expectReached(again);
    await again.leave();
    await expectState(0, 1, [1, 1]);
  },
);

perRelay(
  "90. Given A on relay 1 and B on relay 2 meshed (one of them a Go derper), then packets, PeerGone and disco work both ways; first visibility within 100 ms.",
  {},
  async (t, kind) => {
    const { relays } = await startRegion(t, [kind, partnerOf(kind)], [[1], [0]]);
    const [one, two] = relays;
    assert.ok(one !== undefined && two !== undefined);
    for (const relay of relays) await metricsBecome(relay, linked);
    for (const [near, far] of [
      [one, two],
      [two, one],
    ] as const) {
      const alice = await join({ t, relay: near });
      // The best of some: a busy machine delays one, a relay that waits before it tells delays all.
      const times: number[] = [];
      for (let attempt = 0; attempt < 5; attempt++)
        times.push(await becomesVisible(alice, await join({ t, relay: far })));
      assert.ok(Math.min(...times) < 100, `visible after ${times.join(", ")} ms`);
      const bob = await join({ t, relay: far });
      await becomesVisible(alice, bob);
      await becomesVisible(bob, alice);
      for (const packet of ["", "over the mesh", "x".repeat(65_536), discoPacket()]) {
        alice.send(bob, packet);
        await bob.receives(alice, packet);
        bob.send(alice, packet);
        await alice.receives(bob, packet);
      }
      await bob.leave();
      await alice.hearsGone(bob.key, PeerGoneReason.disconnected);
      alice.send(bob, discoPacket());
      await alice.hearsGone(bob.key, PeerGoneReason.notHere);
    }
  },
);

/** Sends to a client of another relay until something arrives. @returns how long that took, in milliseconds */
async function becomesVisible(sender: Client, receiver: Client): Promise<number> {
  const started = performance.now();
  const seen = { packet: false };
  const first = receiver.next().finally(() => (seen.packet = true));
  while (!seen.packet) {
    sender.send(receiver, "are you there?");
    await timers.setTimeout(5);
  }
  await first;
  const elapsed = performance.now() - started;
  sender.send(receiver, "the last one");
  while (!(await receiver.next()).payload.includes("the last one"));
  return elapsed;
}

perRelay(
  "91. Given the mesh link breaks, then all its forwarders are removed, the link is retried after 5 s and peers reappear.",
  { slow: true },
  async (t, kind) => {
    const { active, passive, way } = await startPair(t, kind);
    await Promise.all([join({ t, relay: passive }), join({ t, relay: passive })]);
    await metricsBecome(active, { derp_clients_remote: 3 });
    const cut = performance.now();
    way.cut();
    await metricsBecome(active, { derp_clients_remote: 0 });
    while (performance.now() - cut < retryMs - 500) {
      assert.equal((await readMetrics(active)).get("derp_clients_remote"), 0);
      await timers.setTimeout(100);
    }
    await metricsBecome(active, { derp_clients_remote: 3 });
  },
);

perRelay(
  "92. Given the relay's own name in `-mesh-with`, then self-connection is detected and dropped for good.",
  { slow: true },
  async (t, kind) => {
    const { relays } = await startRegion(t, [kind], [[0]]);
    const [relay] = relays;
    assert.ok(relay !== undefined);
    const tried = { derp_accepts: 1, derp_current_connections: 0, derp_clients_total: 0, derp_watchers: 0 };
    await metricsBecome(relay, tried);
    await timers.setTimeout(retryMs + 1_000);
    await metricsBecome(relay, tried);
  },
);

perRelay(
  "93. Given last forwarder of X removed and X not local, then interested clients get PeerGone(X, 00); if X is still local, none.",
  {},
  async (t, kind) => {
    const { active, passive } = await startPair(t, kind);
    const [alice, stranger] = [await join({ t, relay: active }), await join({ t, relay: active })];
    const mesh = await join({ t, relay: active }, { info: meshInfo });
    /** A client of the other relay from which alice has received. */
    const enter = async (privateKey = generatePrivateKey()): Promise<Client> => {
      const client = await join({ t, relay: passive }, { privateKey });
      await metricsBecome(active, { derp_clients_remote: 2 });
      mesh.frame(FrameType.forwardPacket, client.key, alice.key, Buffer.from("from afar"));
      await alice.receives(client, "from afar");
      return client;
    };
    const away = await enter();
    await away.leave();
    await alice.hearsGone(away.key, PeerGoneReason.disconnected);
    await stranger.hearsNothing();
    const privateKey = generatePrivateKey();
    const both = await enter(privateKey);
    const here = await join({ t, relay: active }, { privateKey });
    await both.leave();
    await metricsBecome(active, linked);
    await alice.hearsNothing();
    await here.leave();
    await alice.hearsGone(here.key, PeerGoneReason.disconnected);
  },
);
