import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { publicKeyOf } from "../crypto/keys.ts";
import { FrameType, keyLength, maxPacket } from "../protocol/frame.ts";
import { openServerInfo } from "../protocol/handshake.ts";
import { encodeFrame, encodeSendPacket } from "../protocol/writer.ts";
import { Client, discoPacket, Stage } from "../testing/cast.ts";
import { relayPublic, vectors } from "../testing/vectors.ts";
import { slabSize } from "./slab-pool.ts";

const meshKey = Buffer.alloc(32, 7);
const text = (words: string): Buffer => Buffer.from(words, "latin1");

test("45. the first frame after ServerKey is ServerInfo, also when packets come at once", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const bob = new Client(stage, "bob");
  bob.login();
  alice.send(bob, text("early"));
  stage.pass();
  assert.deepEqual(
    bob.seen.map(({ type }) => type),
    [FrameType.serverKey, FrameType.serverInfo, FrameType.recvPacket],
  );
  assert.deepEqual(bob.seen[0]?.payload, vectors.serverKey.subarray(5));
  assert.equal(openServerInfo(bob.seen[1]?.payload as Buffer, relayPublic, bob.privateKey)?.version, 2);
});

test("16. ClientInfo and a packet in one piece are both handled", () => {
  const stage = new Stage();
  const bob = stage.join("bob");
  const alice = new Client(stage, "alice");
  const login: Buffer[] = [];
  const whole = Object.assign(alice, { say: (bytes: Buffer) => login.push(bytes) });
  whole.login();
  whole.send(bob, text("same segment"));
  alice.session.receive(Buffer.concat(login), stage.now);
  stage.pass();
  assert.deepEqual(bob.packets, ["same segment"]);
});

test("46. a login of another type, a wrong length, another's box or garbage closes without a further frame", () => {
  const wrong = [
    encodeFrame(FrameType.sendPacket, Buffer.alloc(40)),
    encodeFrame(FrameType.clientInfo, Buffer.alloc(55)),
    Buffer.from("0200040001", "hex"), // 262 145 bytes announced
    encodeFrame(FrameType.clientInfo, Buffer.alloc(104, 1)),
  ];
  for (const bytes of wrong) {
    const stage = new Stage();
    const alice = new Client(stage, "alice");
    alice.say(bytes);
    stage.pass();
    assert.equal(alice.closed, "login-refused");
    assert.equal(alice.seen.length, 1, "only ServerKey");
    assert.equal(stage.core.size, 0);
  }
});

test("33. a client that says nothing is closed after 10 s", () => {
  const stage = new Stage();
  const alice = new Client(stage, "alice");
  stage.pass(9_999);
  assert.equal(alice.closed, undefined);
  stage.pass(1);
  assert.equal(alice.closed, "login-timeout");
});

test("50. three clients: only the addressee receives, with source and bytes intact", () => {
  const stage = new Stage();
  const [alice, bob, cathy] = [stage.join("alice"), stage.join("bob"), stage.join("cathy")];
  alice.send(bob, text("to bob"));
  bob.send(cathy, text("to cathy"));
  stage.pass();
  assert.deepEqual([alice.packets, bob.packets, cathy.packets], [[], ["to bob"], ["to cathy"]]);
  assert.deepEqual(bob.seen[0]?.payload.subarray(0, keyLength), alice.key);
});

test("51. a packet to oneself, an empty one and one of 65 536 bytes are delivered", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const long = Buffer.alloc(maxPacket, 0x61);
  for (const packet of [text("me"), Buffer.alloc(0), long]) alice.send(alice, packet);
  stage.pass();
  assert.deepEqual(alice.packets, ["me", "", long.toString("latin1")]);
});

test("52, 63, 67, 82. frames of a wrong length, or without the right to them, close the sender", () => {
  const key = Buffer.alloc(keyLength, 9);
  const wrong: readonly (readonly [number, number])[] = [
    [FrameType.sendPacket, 31],
    [FrameType.sendPacket, keyLength + maxPacket + 1],
    [FrameType.ping, 7],
    [FrameType.ping, 1_001],
    [FrameType.notePreferred, 0],
    [FrameType.notePreferred, 2],
    [FrameType.watchConns, 0],
    [FrameType.forwardPacket, 70],
    [FrameType.closePeer, key.length],
  ];
  for (const [type, length] of wrong) {
    const stage = new Stage();
    const [alice, bob] = [stage.join("alice"), stage.join("bob")];
    alice.saysFrame(type, Buffer.alloc(length));
    stage.pass();
    assert.equal(alice.closed, "protocol", `type ${type}, ${length} bytes`);
    assert.equal(bob.closed, undefined);
  }
});

test("53, 55. only a packet that looks like disco gets PeerGone (not here)", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const nobody = publicKeyOf(new Client(stage, "nobody").privateKey);
  alice.send(nobody, Buffer.alloc(100));
  alice.send(nobody, discoPacket().subarray(0, 61));
  stage.pass();
  assert.equal(alice.seen.length, 0);
  alice.send(nobody, discoPacket());
  stage.pass();
  assert.deepEqual(alice.seen, [
    { type: FrameType.peerGone, payload: Buffer.concat([nobody, Buffer.of(1)]) },
  ]);
  assert.deepEqual(stage.core.counters.dropped.unknown_dest.packets, { disco: 1, other: 2 });
});

test("54. six disco packets at once get three notices, and one more a second later", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const nobody = new Client(stage, "nobody").key;
  for (let i = 0; i < 6; i++) alice.send(nobody, discoPacket());
  stage.pass();
  assert.equal(alice.ofType(FrameType.peerGone).length, 3);
  stage.pass(1_000);
  alice.send(nobody, discoPacket());
  alice.send(nobody, discoPacket());
  stage.pass();
  assert.equal(alice.ofType(FrameType.peerGone).length, 4);
});

test("56, 57. who has received from a peer is told each time that it leaves, and nobody else", () => {
  const stage = new Stage();
  const [bob, cathy] = [stage.join("bob"), stage.join("cathy")];
  for (let round = 1; round <= 3; round++) {
    const alice = stage.join("alice");
    alice.send(bob, text("hello"));
    alice.send(bob, text("again"));
    stage.pass();
    alice.session.close("end");
    stage.pass();
    const gone = bob.ofType(FrameType.peerGone);
    assert.equal(gone.length, round);
    assert.deepEqual(gone.at(-1)?.payload, Buffer.concat([alice.key, Buffer.of(0)]));
  }
  stage.join("alice").session.close("end"); // Sent nothing this time.
  stage.pass();
  assert.equal(bob.ofType(FrameType.peerGone).length, 3);
  assert.equal(cathy.seen.length, 0);
});

test("a packet that waited until its source had left is followed by the notice", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  bob.stall();
  alice.send(bob, text("in the socket"));
  stage.pass();
  const cathy = stage.join("cathy");
  cathy.send(bob, text("in the queue"));
  stage.pass();
  cathy.session.close("end");
  bob.read();
  stage.pass();
  assert.deepEqual(bob.packets, ["in the socket", "in the queue"]);
  assert.deepEqual(bob.ofType(FrameType.peerGone), [
    { type: FrameType.peerGone, payload: Buffer.concat([cathy.key, Buffer.of(0)]) },
  ]);
});

test("58. a receiver that does not read holds up neither the sender nor others", () => {
  const stage = new Stage();
  const [alice, bob, cathy] = [stage.join("alice"), stage.join("bob"), stage.join("cathy")];
  bob.stall();
  for (let i = 0; i < 5_000; i++) {
    alice.send(bob, Buffer.alloc(1_000));
    alice.send(cathy, text(`${i}`));
    stage.pass();
  }
  assert.equal(cathy.packets.length, 5_000);
  assert.equal(alice.closed, undefined);
});

test("Q18. when all queues together take too much memory, the longest gives way and no other", () => {
  const stage = new Stage({}, [], undefined, { maxQueuedBytes: 10 * slabSize });
  const [alice, bob, cathy] = [stage.join("alice"), stage.join("bob"), stage.join("cathy")];
  bob.stall();
  cathy.stall();
  const packet = Buffer.alloc(10_000, "x");
  for (let i = 0; i < 8; i++) alice.send(cathy, packet);
  for (let i = 0; i < 90; i++) alice.send(bob, packet);
  stage.pass();
  assert.ok(stage.core.counters.dropped.queue_head.packets.other > 20);
  cathy.read();
  assert.equal(cathy.packets.length, 8);
});

test("61. a receiver that takes nothing for 2 s with data waiting is closed, and never with the limit at 0", () => {
  for (const [writeMs, reason] of [
    [2_000, "write-timeout"],
    [0, undefined],
  ] as const) {
    const stage = new Stage({ writeMs });
    const [alice, bob] = [stage.join("alice"), stage.join("bob")];
    bob.stall();
    alice.send(bob, text("stuck"));
    stage.pass();
    stage.pass(1_999);
    assert.equal(bob.closed, undefined);
    stage.pass(1);
    assert.equal(bob.closed, reason);
    assert.equal(stage.core.counters.writeTimeouts, reason === undefined ? 0 : 1);
  }
});

test("a receiver that makes progress is not closed however slow it is", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  bob.stall();
  for (let second = 0; second < 30; second++) {
    for (let i = 0; i < 40; i++) alice.send(bob, Buffer.alloc(1_200));
    stage.pass(1_000);
    bob.read(true);
  }
  assert.equal(bob.closed, undefined);
});

test("62. an idle connection gets a KeepAlive between 60 and 65 s and again after the same interval", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const joined = stage.now;
  const times: number[] = [];
  while (times.length < 3) {
    stage.pass(10);
    for (const { type, payload } of alice.seen.splice(0)) {
      assert.equal(`${type} ${payload.length}`, "6 0");
      times.push(stage.now - joined);
    }
  }
  const [first = 0, second = 0, third = 0] = times;
  assert.ok(first >= 60_000 && first <= 65_010, `first after ${first} ms`);
  assert.ok(Math.abs(second - 2 * first) <= 20 && Math.abs(third - 3 * first) <= 30, times.join());
});

test("122. a client that can answer pings and does not is closed 15 s after its KeepAlive", () => {
  const stage = new Stage();
  const [silent, alive, prober] = [
    stage.join("alice", { canAckPings: true }),
    stage.join("bob", { canAckPings: true }),
    stage.join("cathy", { canAckPings: true, isProber: true }),
  ];
  stage.pass(65_001);
  const [ping] = alive.ofType(FrameType.ping);
  assert.ok(ping !== undefined && ping.payload.length === 8);
  alive.saysFrame(FrameType.pong, ping.payload);
  stage.pass(14_990);
  stage.pass(20);
  assert.deepEqual([silent.closed, alive.closed, prober.closed], ["silent", undefined, undefined]);
  assert.equal(prober.ofType(FrameType.ping).length, 0);
});

test("63, 64. a ping is answered with its first eight bytes, and a flood of them with at least one pong", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  alice.saysFrame(FrameType.ping, text("12345678 and more"));
  stage.pass();
  assert.deepEqual(alice.seen, [{ type: FrameType.pong, payload: text("12345678") }]);
  alice.stall();
  for (let i = 0; i < 1_000; i++) {
    alice.saysFrame(FrameType.ping, Buffer.alloc(8, i));
    if (i % 10 === 0) stage.pass();
  }
  alice.read();
  stage.pass();
  const pongs = alice.ofType(FrameType.pong).length - 1;
  assert.ok(pongs >= 1 && pongs <= 2, `${pongs} pongs`);
  assert.equal(alice.closed, undefined);
});

test("65. an unknown type of any length, KeepAlive and Pong from a client are read past", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  alice.saysFrame(0x42, Buffer.alloc(1_048_576));
  alice.saysFrame(FrameType.keepAlive);
  alice.saysFrame(FrameType.pong, Buffer.alloc(8));
  alice.saysFrame(FrameType.clientInfo, Buffer.alloc(500));
  alice.send(bob, text("still here"));
  stage.pass();
  assert.deepEqual(bob.packets, ["still here"]);
  assert.equal(stage.core.counters.unknownFrames, 1);
});

test("66. home connections follow NotePreferred and the end of the connection", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const homes: number[] = [];
  for (const preferred of [1, 1, 0, 0, 1]) {
    alice.saysFrame(FrameType.notePreferred, Buffer.of(preferred));
    homes.push(stage.core.counters.homeConnections);
  }
  alice.session.close("end");
  homes.push(stage.core.counters.homeConnections);
  assert.deepEqual(homes, [1, 1, 0, 0, 1, 0]);
  assert.equal(stage.core.counters.homeMovesIn, 0, "the first five seconds are not a move");
});

test("68. a burst for one client leaves in few writes, the next one in one, and nothing stays behind", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  const writesOfBurst = (): number => {
    const before = bob.writes;
    for (let i = 0; i < 30; i++) alice.send(bob, text(`${i}`));
    stage.pass();
    return bob.writes - before;
  };
  assert.ok(writesOfBurst() <= 9);
  assert.equal(writesOfBurst(), 1);
  assert.equal(bob.packets.length, 60);
});

test("71, 72, 75, 77. of several connections with one key the newest receives, or the one that spoke last", () => {
  const stage = new Stage();
  const cathy = stage.join("cathy");
  const [c1, c2] = [stage.join("alice"), stage.join("alice")];
  const receiver = (): string => {
    for (const client of [c1, c2]) client.seen.length = 0;
    cathy.send(c1.key, text("x"));
    stage.pass();
    return [c1, c2].map((client, index) => (client.packets.length > 0 ? `c${index + 1}` : "")).join("");
  };
  assert.equal(receiver(), "c2");
  c1.saysFrame(FrameType.keepAlive);
  assert.equal(receiver(), "c1");
  c2.saysFrame(FrameType.keepAlive);
  assert.equal(receiver(), "c2");
  c1.send(cathy, text("hello"));
  c2.session.close("end");
  stage.pass();
  assert.equal(receiver(), "c1");
  assert.equal(cathy.ofType(FrameType.peerGone).length, 0);
  const [c3, c4] = [stage.join("alice"), stage.join("alice")];
  c3.saysFrame(FrameType.keepAlive);
  c4.session.close("end");
  cathy.send(c1.key, text("y"));
  stage.pass();
  assert.deepEqual(c3.packets, ["y"]);
});

test("116. counters hold what was relayed, contents only", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  alice.send(bob, Buffer.alloc(100));
  alice.send(bob, discoPacket(80));
  stage.pass();
  const { packetsReceived, bytesReceived, packetsSent, bytesSent, connections, accepts } =
    stage.core.counters;
  assert.deepEqual(
    { packetsReceived, bytesReceived, packetsSent, bytesSent, connections, accepts },
    {
      packetsReceived: { disco: 1, other: 1 },
      bytesReceived: 180,
      packetsSent: 2,
      bytesSent: 180,
      connections: 2,
      accepts: 2,
    },
  );
});

test("what still waits when a connection ends is counted as gone_disconnected, and nothing keeps the peer", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  bob.stall();
  for (let i = 0; i < 5; i++) {
    alice.send(bob, Buffer.alloc(10));
    stage.pass();
  }
  bob.session.close("end");
  assert.equal(stage.core.counters.dropped.gone_disconnected.packets.other, 4, "the first is in the socket");
  assert.deepEqual(stage.core.router.population, { local: 1, remote: 0, total: 1 });
});

test("random bytes after login never throw and hurt nobody else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const stage = new Stage();
      const [alice, bob, cathy] = [stage.join("alice"), stage.join("bob"), stage.join("cathy")];
      for (const chunk of chunks) alice.say(Buffer.from(chunk));
      bob.send(cathy, text("well"));
      stage.pass();
      assert.deepEqual(cathy.packets, ["well"]);
    }),
  );
});

test("3. a login and packets split at every byte boundary give the same result", () => {
  const stage = new Stage();
  const bob = stage.join("bob");
  const recorder = new Client(stage, "alice");
  const said: Buffer[] = [];
  Object.assign(recorder, { say: (bytes: Buffer) => said.push(bytes) }).login();
  const stream = Buffer.concat([
    ...said,
    encodeSendPacket(bob.key, text("one")),
    encodeSendPacket(bob.key, text("two")),
  ]);
  for (let at = 0; at <= stream.length; at++) {
    const alice = new Client(stage, "alice");
    alice.say(stream.subarray(0, at));
    alice.say(stream.subarray(at));
    stage.pass();
    alice.session.close("end");
    assert.deepEqual(bob.packets, ["one", "two"], `split at ${at}`);
    stage.pass();
    bob.seen.length = 0;
  }
});

test("101. with rate and burst of one frame the first passes at once and the second after a second", () => {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  stage.core.setRateLimit({ bytesPerSecond: 65_568, burst: 65_568 }, stage.now);
  alice.send(bob, Buffer.alloc(maxPacket));
  assert.deepEqual(alice.pauses, []);
  alice.send(bob, Buffer.alloc(maxPacket));
  assert.deepEqual(alice.pauses, [1_000]);
  assert.equal(stage.core.counters.rateLimitWaited, 1);
  stage.pass(1_000);
  alice.saysFrame(FrameType.keepAlive);
  assert.equal(alice.pauses.length, 1);
  assert.equal(bob.packets.length, 2, "nothing is dropped for its rate");
});

test("102. a change reaches clients that are here, duplicates too, never relays, and 0 removes the limit", () => {
  const stage = new Stage({}, [meshKey]);
  const [one, two] = [stage.join("alice"), stage.join("alice")];
  const mesh = stage.join("mesh", { meshKey: meshKey.toString("hex") });
  const flood = (): number[] => {
    for (const client of [one, two, mesh]) {
      client.pauses.length = 0;
      for (let i = 0; i < 3; i++) client.saysFrame(0x42, Buffer.alloc(65_568));
    }
    return [one, two, mesh].map((client) => client.pauses.length);
  };
  assert.deepEqual(flood(), [0, 0, 0]);
  stage.core.setRateLimit({ bytesPerSecond: 1_000, burst: 65_568 }, stage.now);
  assert.deepEqual(flood(), [2, 2, 0]);
  stage.core.setRateLimit(undefined, stage.now);
  assert.deepEqual(flood(), [0, 0, 0]);
});

test("a relay that stops tells each client, and closes them one after the other, other relays last", () => {
  const stage = new Stage({}, [meshKey]);
  const relay = stage.join("relay", { meshKey: meshKey.toString("hex") });
  const clients = ["alice", "bob", "cathy"].map((name) => stage.join(name));
  stage.core.drain(4_000, stage.now);
  stage.pass();
  for (const [index, client] of [...clients, relay].entries()) {
    const [frame] = client.ofType(FrameType.restarting);
    assert.equal(frame?.payload.readUInt32BE(0), 1_000 * (index + 1), "the wait is that until its own end");
  }
  const open = (): number => [...clients, relay].filter(({ closed }) => closed === undefined).length;
  const seen: number[] = [];
  for (let second = 0; second < 5; second++) {
    seen.push(open());
    stage.pass(1_000);
  }
  assert.deepEqual(seen, [4, 3, 2, 1, 0]);
  assert.equal(relay.ofType(FrameType.peerGone).length, 0);
});

/** Clients that say that they are at home here. */
function settle(stage: Stage, ...names: readonly string[]): Client[] {
  return names.map((name) => goHome(stage.join(name)));
}

function goHome(client: Client): Client {
  client.saysFrame(FrameType.notePreferred, Buffer.of(1));
  return client;
}

test("a region on its way out lets its own go one after the other, refuses each for 40 s, and leaves all others", () => {
  const stage = new Stage({}, [meshKey]);
  const relay = stage.join("relay", { meshKey: meshKey.toString("hex") });
  const visitor = stage.join("visitor");
  const clients = settle(stage, "alice", "bob", "cathy", "dave");
  assert.equal(stage.core.letGo(4_000, stage.now), 4);
  // One finds another home by itself before it is its turn.
  clients[3]?.saysFrame(FrameType.notePreferred, Buffer.of(0));
  const seen: (string | undefined)[][] = [];
  for (let second = 0; second < 5; second++) {
    seen.push(clients.map(({ closed }) => closed));
    stage.pass(1_000);
  }
  const gone = "let-go";
  const still = undefined;
  assert.deepEqual(seen, [
    [still, still, still, still],
    [gone, still, still, still],
    [gone, gone, still, still],
    [gone, gone, gone, still],
    [gone, gone, gone, still],
  ]);
  assert.deepEqual([relay.closed, visitor.closed], [undefined, undefined]);
  assert.equal(clients[0]?.ofType(FrameType.restarting).length, 0, "it is not to come back");
  assert.equal(stage.join("alice").closed, "let-go");
  stage.pass(35_000); // 39 s after the first went.
  assert.equal(stage.join("alice").closed, "let-go");
  stage.pass(1_000);
  assert.equal(stage.join("alice").closed, undefined);
  assert.equal(stage.join("bob").closed, "let-go");
});

test("who makes a relay its home that lets its own go has to go as well, and stays if it is back for want of another", () => {
  const stage = new Stage();
  settle(stage, "alice", "zoe");
  stage.core.letGo(10_000, stage.now);
  stage.pass(5_000);
  assert.equal(settle(stage, "bob")[0]?.closed, "let-go", "from the region's other relay");
  assert.equal(stage.join("cathy").closed, undefined, "a visitor");
  stage.pass(5_000);
  stage.pass(35_000);
  const [alice] = settle(stage, "alice");
  stage.pass(4_000);
  assert.equal(alice?.closed, undefined);
  assert.equal(settle(stage, "dave")[0]?.closed, "let-go");
  stage.pass(1_000); // 40 s after the last one went.
  assert.deepEqual(
    settle(stage, "bob", "erin", "zoe").map(({ closed }) => closed),
    [undefined, undefined, undefined],
  );
});

test("a key that is at home here by two connections loses both, and the stop of the relay goes before all that", () => {
  const stage = new Stage();
  const both = settle(stage, "alice", "alice");
  const [bob] = settle(stage, "bob");
  stage.core.letGo(3_000, stage.now);
  stage.core.drain(1_500, stage.now);
  stage.core.letGo(3_000, stage.now);
  stage.pass(1_500);
  assert.deepEqual(
    [...both, bob].map((client) => client?.closed),
    ["shutdown", "shutdown", "shutdown"],
  );
  const other = new Stage();
  const twins = settle(other, "alice", "alice");
  other.core.letGo(1_000, other.now);
  other.pass(1_000);
  assert.deepEqual(
    twins.map(({ closed }) => closed),
    ["let-go", "let-go"],
  );
});

test("who is on the way in when a relay stops comes in, is told, and leaves with the last; who never does is closed then", () => {
  const stage = new Stage();
  const alice = stage.join("alice");
  const [dave, erin] = [new Client(stage, "dave"), new Client(stage, "erin")];
  stage.core.drain(4_000, stage.now);
  stage.pass(1_000);
  dave.login();
  const late = stage.join("frank");
  stage.pass();
  for (const [client, wait] of [
    [alice, 4_000],
    [dave, 3_000],
  ] as const) {
    assert.equal(client.ofType(FrameType.restarting)[0]?.payload.readUInt32BE(0), wait);
  }
  dave.send(alice, text("on the way out"));
  stage.pass();
  assert.equal(alice.packets.length, 1);
  stage.pass(3_250);
  assert.deepEqual(
    [alice, dave, erin, late].map(({ closed }) => closed),
    ["shutdown", "shutdown", "shutdown", "shutdown"],
  );
});

test("a key has 32 connections; the next is held for 5 s without a word and then refused, and a relay never", () => {
  const stage = new Stage({}, [meshKey]);
  const clients = Array.from({ length: 32 }, () => stage.join("alice"));
  const [late, other] = [new Client(stage, "alice"), stage.join("bob")];
  late.login();
  late.send(other, text("too soon"));
  stage.pass(4_999);
  assert.equal(late.closed, undefined);
  assert.deepEqual(
    late.seen.map(({ type }) => type),
    [FrameType.serverKey],
  );
  stage.pass(1);
  assert.equal(late.closed, "too-many");
  assert.deepEqual(other.packets, []);
  assert.equal(stage.core.counters.refusedByKey, 1);
  assert.equal(clients.filter(({ closed }) => closed !== undefined).length, 0);
  for (let i = 0; i < 40; i++) stage.join("relay", { meshKey: meshKey.toString("hex") });
  assert.equal(stage.core.counters.refusedByKey, 1);
  clients[0]?.session.close("end");
  assert.ok(stage.join("alice").session.key, "there is room again");
});

test("Q7. clients of one key are told that they are several, and when one is alone again, if that is wished", () => {
  for (const reportDuplicates of [true, false]) {
    const stage = new Stage({}, [], undefined, { reportDuplicates });
    const problems = (client: Client): string[] =>
      client.ofType(FrameType.health).map(({ payload }) => payload.toString().slice(0, 36));
    const [one, two] = [stage.join("alice"), new Client(stage, "alice")];
    two.login();
    stage.pass();
    assert.deepEqual(
      two.seen.slice(0, 2).map(({ type }) => type),
      [FrameType.serverKey, FrameType.serverInfo],
      "ServerInfo comes before everything else",
    );
    two.session.close("end");
    stage.pass();
    const told = "This node key is connected 2 times to";
    assert.deepEqual(problems(one), reportDuplicates ? [told.slice(0, 36), ""] : []);
    assert.deepEqual(problems(two), reportDuplicates ? [told.slice(0, 36)] : []);
  }
});
