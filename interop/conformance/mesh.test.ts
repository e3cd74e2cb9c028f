/** Statements 78 to 87, 90 and 94: what a relay does for watchers and forwarders, and as one of them. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { parseKeyFile } from "../../relay/crypto/key-file.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { FrameType, PeerGoneReason } from "../../relay/protocol/frame.ts";
import { discoPacket } from "../../relay/testing/cast.ts";
import { type Client, type Frame, join, type JoinOptions } from "./client.ts";
import { patienceMs } from "./incoming.ts";
import { metricsBecome } from "./metrics.ts";
import {
  createFiles,
  refusal,
  type RelayKind,
  type RelayUnderTest,
  removeFiles,
  startRelayUnderTest,
  whyMissing,
} from "./relay-under-test.ts";
import { ownFiles, perRelay } from "./suite.ts";

const meshKey = "0123456789abcdef".repeat(4);
const todo = {
  todo: { bun: "finding: of two trusted certificates with one subject name Bun tries one, and Go both" },
};
const Flag = { regular: 1, mesh: 2, prober: 4, notIdeal: 8 } as const;
const meshInfo = JSON.stringify({ meshKey, version: 2, CanAckPings: false });

interface Stage {
  readonly t: TestContext;
  readonly relay: RelayUnderTest;
  join(options?: JoinOptions): Promise<Client>;
  /** A client with the mesh key. */
  joinPrivileged(options?: JoinOptions): Promise<Client>;
  /** A watcher, and what it was told at once. */
  watch(options?: JoinOptions): Promise<{ watcher: Client; present: Present[] }>;
}

/** Runs a statement on a relay of its own that has a mesh key, as who is there matters. */
function meshStatement(title: string, run: (stage: Stage) => Promise<void>): void {
  perRelay(title, {}, async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "mesh.key");
    await writeFile(file, meshKey);
    const relay = await startRelayUnderTest(kind, files, { flags: { "mesh-psk-file": file } });
    t.after(() => relay.stop());
    const place = { t, relay };
    const joinPrivileged = (options: JoinOptions = {}): Promise<Client> =>
      join(place, { info: meshInfo, ...options });
    const watch: Stage["watch"] = async (options) => {
      const watcher = await joinPrivileged(options);
      watcher.frame(FrameType.watchConns);
      // A watcher is told of itself, so this ends.
      const present: Present[] = [];
      do present.push(parsePresent(await watcher.next()));
      while (!present.some(({ key }) => key.equals(watcher.key)));
      present.push(...(await watcher.sync()).map(parsePresent));
      return { watcher, present };
    };
    await run({ ...place, join: (options) => join(place, options), joinPrivileged, watch });
  });
}

interface Present {
  readonly key: Buffer;
  readonly ip: string;
  readonly port: number;
  readonly flags: number;
}

function parsePresent({ type, payload }: Frame): Present {
  assert.equal(type, FrameType.peerPresent);
  assert.equal(payload.length, 51);
  return {
    key: payload.subarray(0, 32),
    ip: payload.toString("hex", 32, 48),
    port: payload.readUInt16BE(48),
    flags: payload.readUInt8(50),
  };
}

const keysOf = (present: readonly Present[]): string[] =>
  present.map(({ key }) => key.toString("hex")).sort();
const hexOf = (...clients: readonly { readonly key: NodeKey }[]): string[] =>
  clients.map(({ key }) => key.toString("hex")).sort();

meshStatement(
  "78. Given a privileged client sends WatchConns, then PeerPresent for every connected key including itself, then live updates; several watchers see the same.",
  async (stage) => {
    const [alice, bob] = [await stage.join(), await stage.join()];
    const first = await stage.watch();
    assert.deepEqual(keysOf(first.present), hexOf(alice, bob, first.watcher));
    const second = await stage.watch();
    assert.deepEqual(keysOf(second.present), hexOf(alice, bob, first.watcher, second.watcher));
    assert.deepEqual(parsePresent(await first.watcher.next()).key, second.watcher.key);
    const cathy = await stage.join();
    for (const { watcher } of [first, second])
      assert.deepEqual(parsePresent(await watcher.next()).key, cathy.key);
  },
);

meshStatement(
  "79. Given PeerPresent, then 51 bytes, IPv4 as v4-mapped, port big-endian, flags 01 regular, 02 mesh, 04 prober, 08 not ideal (combined, 01 only alone).",
  async (stage) => {
    const { watcher, present } = await stage.watch();
    assert.equal(present[0]?.flags, Flag.mesh);
    const cases: readonly (readonly [JoinOptions, number])[] = [
      [{}, Flag.regular],
      [{ headers: ["Ideal-Node: 1a"] }, Flag.notIdeal],
      [{ info: '{"version":2,"IsProber":true}' }, Flag.prober],
      [{ info: '{"IsProber":true}', headers: ["Ideal-Node: 1a"] }, Flag.prober | Flag.notIdeal],
      [
        { info: JSON.stringify({ meshKey, IsProber: true }), headers: ["Ideal-Node: 1a"] },
        Flag.mesh | Flag.prober | Flag.notIdeal,
      ],
    ];
    for (const [options, flags] of cases) {
      const client = await stage.join(options);
      assert.deepEqual(parsePresent(await watcher.next()), {
        key: client.key,
        ip: "00000000000000000000ffff7f000001",
        port: client.socket.localPort,
        flags,
      });
    }
  },
);

meshStatement("80. Given c2 leaves, then all watchers get PeerGone(c2, 00).", async (stage) => {
  const c2 = await stage.join();
  const { watcher: first } = await stage.watch();
  const { watcher: second } = await stage.watch();
  await first.next();
  await c2.leave();
  for (const watcher of [first, second]) await watcher.hearsGone(c2.key, PeerGoneReason.disconnected);
});

meshStatement(
  "81. Given a second connection of the same key, then a second PeerPresent; given one of them leaves, then nothing.",
  async (stage) => {
    const { watcher } = await stage.watch();
    const privateKey = generatePrivateKey();
    const [c1, c2] = [await stage.join({ privateKey }), await stage.join({ privateKey })];
    for (const { socket, key } of [c1, c2]) {
      const present = parsePresent(await watcher.next());
      assert.deepEqual([present.key, present.port], [key, socket.localPort]);
    }
    await c2.leave();
    await watcher.hearsNothing();
    await c1.leave();
    await watcher.hearsGone(c1.key, PeerGoneReason.disconnected);
  },
);

meshStatement(
  "82. Given WatchConns, ForwardPacket or ClosePeer from an unprivileged client, then its connection closes; with bad lengths also for privileged ones.",
  async (stage) => {
    const bystander = await stage.join();
    const good = [
      [FrameType.watchConns, 0],
      [FrameType.forwardPacket, 64],
      [FrameType.closePeer, 32],
    ] as const;
    const bad = [
      [FrameType.watchConns, 1],
      [FrameType.forwardPacket, 63],
      [FrameType.forwardPacket, 64 + 65_537],
      [FrameType.closePeer, 31],
      [FrameType.closePeer, 33],
    ] as const;
    for (const [type, length] of good) {
      const client = await stage.join();
      client.frame(type, Buffer.alloc(length));
      assert.deepEqual(await client.closed(), []);
    }
    for (const [type, length] of bad) {
      const client = await stage.joinPrivileged();
      client.frame(type, Buffer.alloc(length));
      assert.deepEqual(await client.closed(), []);
    }
    await bystander.hearsNothing();
  },
);

meshStatement(
  "83. Given WatchConns from a client with the server's own key, then ignored, connection stays.",
  async (stage) => {
    const file = path.join(stage.relay.folder, "derper.key");
    const privateKey = parseKeyFile(await readFile(file, "utf8"), file);
    const client = await stage.joinPrivileged({ privateKey });
    client.frame(FrameType.watchConns);
    await stage.join();
    await client.hearsNothing();
  },
);

meshStatement(
  "84. Given ClosePeer(key), then all connections of key are closed; unknown key: nothing.",
  async (stage) => {
    const privateKey = generatePrivateKey();
    const [c1, c2] = [await stage.join({ privateKey }), await stage.join({ privateKey })];
    const mesh = await stage.joinPrivileged();
    mesh.frame(FrameType.closePeer, publicKeyOf(generatePrivateKey()));
    await mesh.hearsNothing();
    mesh.frame(FrameType.closePeer, c1.key);
    assert.deepEqual(await c1.closed(), []);
    assert.deepEqual(await c2.closed(), []);
    await mesh.hearsNothing();
  },
);

meshStatement(
  "85. Given ForwardPacket(A→B), B local, then B receives RecvPacket with source A.",
  async (stage) => {
    const bob = await stage.join();
    const mesh = await stage.joinPrivileged();
    const source = { key: publicKeyOf(generatePrivateKey()) };
    for (const packet of ["", "forwarded", "x".repeat(65_536)]) {
      mesh.frame(FrameType.forwardPacket, source.key, bob.key, Buffer.from(packet));
      await bob.receives(source, packet);
    }
  },
);

meshStatement(
  "86. Given ForwardPacket for an unknown key, then dropped (`unknown_dest_on_fwd`); PeerGone 01 to the mesh connection only if disco.",
  async (stage) => {
    const mesh = await stage.joinPrivileged();
    const [source, nobody] = [publicKeyOf(generatePrivateKey()), publicKeyOf(generatePrivateKey())];
    mesh.frame(FrameType.forwardPacket, source, nobody, Buffer.from("data"));
    await mesh.hearsNothing();
    mesh.frame(FrameType.forwardPacket, source, nobody, discoPacket());
    await mesh.hearsGone(nobody, PeerGoneReason.notHere);
    await metricsBecome(stage.relay, {
      'derp_packets_dropped{reason="unknown_dest_on_fwd",kind="disco"}': 1,
      'derp_packets_dropped{reason="unknown_dest_on_fwd",kind="other"}': 1,
      derp_packets_forwarded_in: 2,
    });
  },
);

meshStatement(
  "87. Given source key all zero in ForwardPacket, then RecvPacket without source key.",
  async (stage) => {
    const bob = await stage.join();
    const mesh = await stage.joinPrivileged();
    mesh.frame(FrameType.forwardPacket, Buffer.alloc(32), bob.key, Buffer.from("no source"));
    assert.deepEqual(await bob.next(), { type: FrameType.recvPacket, payload: Buffer.from("no source") });
  },
);

/** Two relays, of which the first meshes with the second, a derper if there is one. Their certificates are trusted through SSL_CERT_FILE. */
async function startMesh(t: TestContext, kind: RelayKind): Promise<[RelayUnderTest, RelayUnderTest]> {
  const other = whyMissing("derper") === undefined ? "derper" : kind;
  const both = [await createFiles("localhost"), await createFiles("localhost")] as const;
  t.after(() => Promise.all(both.map(removeFiles)));
  const roots = path.join(both[0].folder, "roots.pem");
  const leaves = await Promise.all(
    both.map(({ folder }) => readFile(path.join(folder, "certs", "localhost.crt"), "utf8")),
  );
  await writeFile(roots, leaves.join("\n"));
  await Promise.all(both.map(({ folder }) => writeFile(path.join(folder, "mesh.key"), meshKey)));
  const start = async (index: 0 | 1, meshWith?: number): Promise<RelayUnderTest> => {
    const files = both[index];
    const relay = await startRelayUnderTest(index === 0 ? kind : other, files, {
      flags: {
        "mesh-psk-file": path.join(files.folder, "mesh.key"),
        ...(meshWith === undefined ? {} : { "mesh-with": `localhost:${meshWith}` }),
      },
      env: { SSL_CERT_FILE: roots },
    });
    t.after(() => relay.stop());
    return relay;
  };
  const passive = await start(1);
  return [await start(0, passive.derpPort), passive];
}

perRelay(
  "90. Given A on relay 1 that meshes with relay 2 (a Go derper), then packets from A reach B on relay 2, and A hears when B leaves.",
  todo,
  async (t, kind) => {
    const [active, passive] = await startMesh(t, kind);
    const alice = await join({ t, relay: active });
    const bob = await join({ t, relay: passive });
    // A relay that finds no other at its first look tries again after five seconds.
    await metricsBecome(active, { derp_clients_remote: 2 }, 3 * patienceMs);
    alice.send(bob, "over the mesh");
    await bob.receives(alice, "over the mesh");
    // The way back is unknown to the passive one: only who watches forwards.
    bob.send(alice, discoPacket());
    await bob.hearsGone(alice.key, PeerGoneReason.notHere);
    await bob.leave();
    await metricsBecome(active, { derp_clients_remote: 1 });
  },
);

perRelay(
  "94. Given `-mesh-with` without a mesh key or `a/b/c`, then start-up error.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "mesh.key");
    await writeFile(file, meshKey);
    assert.equal((await refusal(kind, files, { flags: { "mesh-with": "a.example" } })).status, 1);
    const slashes = { "mesh-psk-file": file, "mesh-with": "a/b/c" };
    assert.equal((await refusal(kind, files, { flags: slashes })).status, 1);
  },
);
