import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type NodeKey, nodeKey } from "../crypto/keys.ts";
import { FrameType, keyLength } from "../protocol/frame.ts";
import { encodeFrame } from "../protocol/writer.ts";
import { type Client, discoPacket, Stage } from "../testing/cast.ts";
import { relayPublic } from "../testing/vectors.ts";
import { Counters } from "./counters.ts";
import type { Forwarder, Peer } from "./peer.ts";
import { Router } from "./router.ts";

const meshKey = Buffer.from("0123456789abcdef".repeat(4), "hex");
const text = (words: string): Buffer => Buffer.from(words, "latin1");

const meshStage = (): Stage => new Stage({}, [meshKey]);
const joinMesh = (stage: Stage, name: string): Client =>
  stage.join(name, { meshKey: meshKey.toString("hex") });
const watch = (client: Client): void => client.saysFrame(FrameType.watchConns);
const presents = (client: Client): string[] =>
  client.ofType(FrameType.peerPresent).map(({ payload }) => payload.toString("hex", 0, keyLength));
const hex = (...clients: readonly Client[]): string[] => clients.map(({ key }) => key.toString("hex"));

test("6. only the right mesh key gives rights, and a relay without one gives them to nobody", () => {
  const attempts: readonly (readonly [Stage, string | undefined, boolean])[] = [
    [meshStage(), meshKey.toString("hex"), true],
    [meshStage(), meshKey.toString("hex").toUpperCase(), true],
    [meshStage(), "ff".repeat(32), false],
    [meshStage(), undefined, false],
    [new Stage(), meshKey.toString("hex"), false],
    [new Stage({}, [Buffer.alloc(32)]), "00".repeat(32), false],
  ];
  for (const [stage, shown, granted] of attempts) {
    const client = stage.join("alice", shown === undefined ? {} : { meshKey: shown });
    watch(client);
    stage.pass();
    assert.equal(client.closed, granted ? undefined : "protocol", `${shown}`);
  }
});

test("a list of mesh keys is accepted, each of them", () => {
  const other = Buffer.alloc(32, 7);
  const stage = new Stage({}, [meshKey, other]);
  for (const [name, key] of Object.entries({ alice: meshKey, bob: other })) {
    const client = stage.join(name, { meshKey: key.toString("hex") });
    watch(client);
    stage.pass();
    assert.equal(client.closed, undefined, name);
  }
});

test("78, 80. a watcher sees who is there, itself included, and then who comes and goes; several see the same", () => {
  const stage = meshStage();
  const alice = stage.join("alice");
  const [first, second] = [joinMesh(stage, "mesh one"), joinMesh(stage, "mesh two")];
  watch(first);
  watch(second);
  stage.pass();
  for (const watcher of [first, second]) {
    assert.deepEqual(presents(watcher).toSorted(), hex(alice, first, second).toSorted());
    watcher.seen.length = 0;
  }
  const bob = stage.join("bob");
  bob.session.close("end");
  stage.pass();
  for (const watcher of [first, second]) {
    assert.deepEqual(
      watcher.seen.map(({ type, payload }) => [type, payload.toString("hex", 0, keyLength)]),
      [
        [FrameType.peerPresent, ...hex(bob)],
        [FrameType.peerGone, ...hex(bob)],
      ],
    );
    assert.equal(watcher.seen[1]?.payload[keyLength], 0, "disconnected");
  }
});

test("79. PeerPresent has 51 bytes: key, mapped address, port, flags", () => {
  const stage = meshStage();
  const watcher = joinMesh(stage, "watcher");
  watch(watcher);
  stage.pass();
  const ip = Buffer.from("00000000000000000000ffffc0000221", "hex");
  const flagsOf = (info: object, notIdeal: boolean): number | undefined => {
    watcher.seen.length = 0;
    const client = stage.join("bob", info, { ip, port: 0x1234, notIdeal });
    const [present] = watcher.ofType(FrameType.peerPresent);
    client.session.close("end");
    stage.pass();
    assert.equal(present?.payload.length, 51);
    assert.equal(
      present.payload.toString("hex", 0, 50),
      `${client.key.toString("hex")}${ip.toString("hex")}1234`,
    );
    return present.payload[50];
  };
  assert.equal(flagsOf({}, false), 0x01);
  assert.equal(flagsOf({ meshKey: meshKey.toString("hex") }, false), 0x02);
  assert.equal(flagsOf({ isProber: true }, false), 0x04);
  assert.equal(flagsOf({}, true), 0x08);
  assert.equal(flagsOf({ isProber: true, meshKey: meshKey.toString("hex") }, true), 0x0e);
});

test("81. a second connection of a key is present again, and only the last one's end is told", () => {
  const stage = meshStage();
  const watcher = joinMesh(stage, "watcher");
  watch(watcher);
  const [one, two] = [stage.join("alice"), stage.join("alice")];
  assert.equal(presents(watcher).filter((key) => key === one.key.toString("hex")).length, 2);
  one.session.close("end");
  stage.pass();
  assert.equal(watcher.ofType(FrameType.peerGone).length, 0);
  two.session.close("end");
  stage.pass();
  assert.equal(watcher.ofType(FrameType.peerGone).length, 1);
});

test("82. wrong lengths close also those who have the right", () => {
  const wrong: readonly (readonly [number, number])[] = [
    [FrameType.watchConns, 1],
    [FrameType.closePeer, 31],
    [FrameType.closePeer, 33],
    [FrameType.forwardPacket, 63],
    [FrameType.forwardPacket, 64 + 65_537],
  ];
  for (const [type, length] of wrong) {
    const stage = meshStage();
    const client = joinMesh(stage, "mesh");
    client.saysFrame(type, Buffer.alloc(length));
    assert.equal(client.closed, "protocol", `type ${type}, ${length} bytes`);
  }
});

test("83. a relay that is connected to itself watches nobody and stays", () => {
  const stage = meshStage();
  const self = stage.joinAs(stage.relayKey, { meshKey: meshKey.toString("hex") });
  assert.deepEqual(self.key, relayPublic);
  watch(self);
  stage.join("alice");
  assert.equal(presents(self).length, 0);
  assert.equal(self.closed, undefined);
});

test("84. ClosePeer ends all connections of a key, also the one that asked, and an unknown key is nothing", () => {
  const stage = meshStage();
  const mesh = joinMesh(stage, "mesh");
  const [one, two, bob] = [stage.join("alice"), stage.join("alice"), stage.join("bob")];
  mesh.saysFrame(FrameType.closePeer, one.key);
  mesh.saysFrame(FrameType.closePeer, Buffer.alloc(keyLength, 9));
  stage.pass();
  assert.deepEqual(
    [one.closed, two.closed, bob.closed, mesh.closed],
    ["expelled", "expelled", undefined, undefined],
  );
  mesh.saysFrame(FrameType.closePeer, mesh.key);
  assert.equal(mesh.closed, "expelled");
});

test("85, 87. a forwarded packet arrives with its source, and without one if that is all zero", () => {
  const stage = meshStage();
  const [mesh, bob] = [joinMesh(stage, "mesh"), stage.join("bob")];
  const source = Buffer.alloc(keyLength, 5);
  mesh.saysFrame(FrameType.forwardPacket, source, bob.key, text("hello"));
  mesh.saysFrame(FrameType.forwardPacket, Buffer.alloc(keyLength), bob.key, text("from nobody"));
  stage.pass();
  assert.deepEqual(
    bob.seen.map(({ payload }) => payload.toString("latin1")),
    [`${source.toString("latin1")}hello`, "from nobody"],
  );
  const { packetsForwardedIn, packetsReceived, packetsSent, bytesSent } = stage.core.counters;
  assert.deepEqual([packetsForwardedIn, packetsReceived.other, packetsSent, bytesSent], [2, 0, 2, 16]);
});

test("86. a forwarded packet is never forwarded again, and only disco is answered, to the relay that sent it", () => {
  const stage = meshStage();
  const [mesh, other] = [joinMesh(stage, "mesh"), joinMesh(stage, "other")];
  const remote = Buffer.alloc(keyLength, 8) as NodeKey;
  const link = stage.core.openLink(other, stage.now);
  link.present(remote);
  stage.pass();
  other.seen.length = 0;
  mesh.saysFrame(FrameType.forwardPacket, Buffer.alloc(keyLength, 5), remote, text("data"));
  mesh.saysFrame(FrameType.forwardPacket, Buffer.alloc(keyLength, 5), remote, discoPacket());
  stage.pass();
  assert.equal(other.seen.length, 0);
  assert.deepEqual(mesh.seen, [{ type: FrameType.peerGone, payload: Buffer.concat([remote, Buffer.of(1)]) }]);
  assert.deepEqual(stage.core.counters.dropped.unknown_dest_on_fwd.packets, { disco: 1, other: 1 });
});

test("a packet for a client of another relay goes there with both keys, and a client here is served here", () => {
  const stage = meshStage();
  const [alice, other] = [stage.join("alice"), joinMesh(stage, "other")];
  const bobKey = stage.keyOf("bob");
  const link = stage.core.openLink(other, stage.now);
  stage.pass();
  assert.deepEqual(
    other.seen.map(({ type }) => type),
    [FrameType.watchConns],
  );
  link.present(bobKey);
  alice.send(bobKey, text("over there"));
  stage.pass();
  assert.deepEqual(other.seen[1], {
    type: FrameType.forwardPacket,
    payload: Buffer.concat([alice.key, bobKey, text("over there")]),
  });
  const bob = stage.join("bob");
  alice.send(bobKey, text("here"));
  stage.pass();
  assert.deepEqual(bob.packets, ["here"]);
  assert.equal(stage.core.counters.packetsForwardedOut, 1);
});

test("93. with its last way a remote peer is gone for all who heard from it, but not while it is here", () => {
  const stage = meshStage();
  const [mesh, bob] = [joinMesh(stage, "mesh"), stage.join("bob")];
  const aliceKey = stage.keyOf("alice");
  const hears = (): void => mesh.saysFrame(FrameType.forwardPacket, aliceKey, bob.key, text("x"));
  const links = [
    stage.core.openLink(joinMesh(stage, "r1"), stage.now),
    stage.core.openLink(joinMesh(stage, "r2"), stage.now),
  ];
  for (const link of links) link.present(aliceKey);
  hears();
  stage.pass();
  links[0]?.close("end");
  stage.pass();
  assert.equal(bob.ofType(FrameType.peerGone).length, 0, "another way is left");
  links[1]?.absent(aliceKey);
  stage.pass();
  assert.equal(bob.ofType(FrameType.peerGone).length, 1);
  const alice = stage.join("alice");
  const link = stage.core.openLink(joinMesh(stage, "r3"), stage.now);
  link.present(aliceKey);
  alice.send(bob, text("y"));
  stage.pass();
  link.close("end");
  stage.pass();
  assert.equal(bob.ofType(FrameType.peerGone).length, 1, "she is here");
  alice.session.close("end");
  stage.pass();
  assert.equal(bob.ofType(FrameType.peerGone).length, 2);
});

test("a source that no relay has announced is forgotten with the last client that heard from it", () => {
  const stage = meshStage();
  const [mesh, bob] = [joinMesh(stage, "mesh"), stage.join("bob")];
  for (let i = 0; i < 100; i++) {
    mesh.saysFrame(FrameType.forwardPacket, Buffer.alloc(keyLength, i + 1), bob.key, text("x"));
    stage.pass();
  }
  const known = Buffer.alloc(keyLength, 50);
  assert.notEqual(stage.core.router.find(known, 0), undefined);
  bob.session.close("end");
  assert.equal(stage.core.router.find(known, 0), undefined);
  assert.deepEqual(stage.core.router.population, { local: 1, remote: 0, total: 1 });
});

test("a link that hears nothing for 120 s, or whose relay takes nothing for 5 s, is closed", () => {
  const stage = meshStage();
  const [silent, stuck, alice] = [joinMesh(stage, "silent"), joinMesh(stage, "stuck"), stage.join("alice")];
  stage.core.openLink(silent, stage.now);
  const link = stage.core.openLink(stuck, stage.now);
  const bobKey = stage.keyOf("bob");
  link.present(bobKey);
  stage.pass();
  stuck.stall();
  alice.send(bobKey, text("x"));
  stage.pass();
  stage.pass(4_999);
  assert.equal(stuck.closed, undefined);
  stage.pass(1);
  assert.equal(stuck.closed, "write-timeout");
  assert.equal(link.size, 0);
  stage.pass(115_000);
  assert.equal(silent.closed, "silent");
});

class Way implements Forwarder {
  readonly carried: string[] = [];
  forward(_source: Peer, _disco: boolean, payload: Buffer, start: number, end: number): void {
    this.carried.push(payload.toString("latin1", start + keyLength, end));
  }
}

test("88. Given the sequence of forwarder registrations in upstream's test (7.4 rules), then table and the two multi-forwarder counters match at each step, including local-nil transitions.", () => {
  const stage = meshStage();
  const { router, counters } = stage.core;
  const key = stage.keyOf("bob");
  const [a, b, c] = [new Way(), new Way(), new Way()];
  const expectState = (
    forwarder: Way | undefined,
    here: number,
    [created, deleted, deleteOther]: readonly [number, number, number],
  ): void => {
    const peer = router.find(key, 0);
    assert.equal(peer?.forwarder, forwarder);
    assert.equal(peer?.size ?? 0, here);
    assert.deepEqual(
      [counters.multiForwarderCreated, counters.multiForwarderDeleted, counters.forwarderDeleteOther],
      [created, deleted, deleteOther],
    );
  };
  expectState(undefined, 0, [0, 0, 0]);
  router.addForwarder(key, a);
  router.addForwarder(key, a);
  expectState(a, 0, [0, 0, 0]);
  router.addForwarder(key, b);
  expectState(a, 0, [1, 0, 0]);
  router.addForwarder(key, c);
  expectState(a, 0, [1, 0, 0]);
  router.removeForwarder(key, a);
  expectState(b, 0, [1, 0, 0]);
  router.removeForwarder(key, a);
  expectState(b, 0, [1, 0, 1]);
  router.removeForwarder(key, b);
  expectState(c, 0, [1, 1, 1]);
  const bob = stage.join("bob");
  expectState(c, 1, [1, 1, 1]);
  router.removeForwarder(key, c);
  expectState(undefined, 1, [1, 1, 1]);
  router.addForwarder(key, a);
  router.addForwarder(key, b);
  expectState(a, 1, [2, 1, 1]);
  bob.session.close("end");
  expectState(a, 0, [2, 1, 1]);
  router.removeForwarder(key, b);
  router.removeForwarder(key, b);
  expectState(a, 0, [2, 2, 2]);
  router.removeForwarder(key, a);
  assert.equal(router.find(key, 0), undefined);
});

test("89. Given a multi-forwarder and concurrent add/remove, then no packet is lost and the preferred one is stable until removed.", () => {
  const step = fc.record({ what: fc.constantFrom("add", "remove", "send"), way: fc.nat({ max: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const stage = meshStage();
      const { router } = stage.core;
      const [alice, key] = [stage.join("alice"), stage.keyOf("bob")];
      // One of them stays, so that there is always a way.
      const ways = [new Way(), new Way(), new Way(), new Way(), new Way()];
      const oldestFirst = [ways[4] as Way];
      router.addForwarder(key, ways[4] as Way);
      const expected = new Map(ways.map((way) => [way, [] as string[]]));
      for (const [number, { what, way: index }] of steps.entries()) {
        const way = ways[index] as Way;
        const at = oldestFirst.indexOf(way);
        if (what === "send") {
          alice.send(key, text(`${number}`));
          expected.get(oldestFirst[0] as Way)?.push(`${number}`);
        } else if (what === "add") {
          router.addForwarder(key, way);
          if (at < 0) oldestFirst.push(way);
        } else {
          router.removeForwarder(key, way);
          if (at >= 0) oldestFirst.splice(at, 1);
        }
      }
      for (const way of ways) assert.deepEqual(way.carried, expected.get(way));
    }),
  );
});

test("ways that come and go in any order leave exactly those that are there", () => {
  const step = fc.record({ add: fc.boolean(), way: fc.nat({ max: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const router = new Router(new Counters());
      const key = nodeKey(Buffer.alloc(keyLength, 3));
      const ways = [new Way(), new Way(), new Way(), new Way()];
      let expected: Way[] = [];
      for (const { add, way: index } of steps) {
        const way = ways[index] as Way;
        if (add) router.addForwarder(key, way);
        else router.removeForwarder(key, way);
        if (!add) expected = expected.filter((other) => other !== way);
        else if (!expected.includes(way)) expected.push(way);
        assert.equal(router.find(key, 0)?.forwarder, expected[0]);
      }
    }),
  );
});

test("mesh frames in random pieces do no more harm than in one", () => {
  const stage = meshStage();
  const [mesh, bob] = [joinMesh(stage, "mesh"), stage.join("bob")];
  const stream = Buffer.concat([
    encodeFrame(FrameType.watchConns),
    encodeFrame(FrameType.forwardPacket, Buffer.alloc(keyLength, 5), bob.key, text("one")),
    encodeFrame(FrameType.forwardPacket, Buffer.alloc(keyLength, 5), bob.key, Buffer.alloc(3_000, 0x61)),
  ]);
  for (let at = 0; at < stream.length; at += 7) mesh.say(stream.subarray(at, at + 7));
  stage.pass();
  assert.deepEqual(bob.packets, ["one", "a".repeat(3_000)]);
});
