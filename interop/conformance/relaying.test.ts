/** Statements 3, 50 to 65 and 67 to 69: packets and control frames between clients that are logged in. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe } from "node:test";
import { generatePrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { FrameType, keyLength, maxPacket, PeerGoneReason } from "../../relay/protocol/frame.ts";
import { encodeFrame, encodeSendPacket } from "../../relay/protocol/writer.ts";
import { discoPacket } from "../../relay/testing/cast.ts";
import { type Client, join } from "./client.ts";
import { type Rig, statement, type StatementOptions } from "./suite.ts";

const unknownKey = () => publicKeyOf(generatePrivateKey());

/** So many clients, of one relay. */
async function joinAll(rig: Rig, count: number): Promise<Client[]> {
  return await Promise.all(Array.from({ length: count }, () => join(rig)));
}

async function pair(rig: Rig): Promise<[Client, Client]> {
  return [await join(rig), await join(rig)];
}

statement(
  "3. Given a frame split at every possible byte boundary over TCP reads, when received, then it is handled once and correctly; same for many frames in one read.",
  async (rig) => {
    const [alice, bob] = await pair(rig);
    const frame = encodeSendPacket(bob.key, Buffer.from("split"));
    for (let cut = 1; cut < frame.length; cut++) {
      // Two writes, and so two TLS records: the relay gets each as a chunk of its own.
      await new Promise<void>((resolve) => {
        alice.socket.write(frame.subarray(0, cut), () => resolve());
      });
      alice.write(frame.subarray(cut));
      await bob.receives(alice, "split");
    }
    const many = Array.from({ length: 20 }, (_, index) => encodeSendPacket(bob.key, Buffer.from(`${index}`)));
    alice.write(Buffer.concat(many));
    for (const index of many.keys()) await bob.receives(alice, `${index}`);
    await bob.hearsNothing();
  },
);

statement(
  "50. Given three clients, when 0→1 and 1→2 send, then only the addressee receives, source key and bytes intact.",
  async (rig) => {
    const [first, second, third] = await Promise.all([join(rig), join(rig), join(rig)]);
    const packet = randomBytes(1_000);
    first.send(second, packet);
    await second.receives(first, packet);
    second.send(third, packet);
    await third.receives(second, packet);
    for (const client of [first, second, third]) await client.hearsNothing();
  },
);

statement(
  "51. Given a packet to oneself, a zero-length packet and a 65 536-byte packet, then each is delivered.",
  async (rig) => {
    const [alice, bob] = await pair(rig);
    alice.send(alice, "myself");
    await alice.receives(alice, "myself");
    for (const packet of [Buffer.alloc(0), randomBytes(maxPacket)]) {
      alice.send(bob, packet);
      await bob.receives(alice, packet);
    }
  },
);

describe("52. Given a 65 537-byte packet or a SendPacket of 31 bytes, then the sender's connection closes.", () => {
  for (const length of [31, keyLength + maxPacket + 1])
    statement(`SendPacket of ${length} bytes`, async (rig) => {
      const [alice, bob] = await pair(rig);
      alice.frame(FrameType.sendPacket, bob.key.subarray(0, 31), Buffer.alloc(length - 31));
      assert.deepEqual(await alice.closed(), []);
      await bob.hearsNothing();
    });
});

statement(
  "53. Given ordinary data to an unknown key, then no PeerGone; given a disco-looking packet (magic, ≥ 62 bytes), then PeerGone(key, 01).",
  async (rig) => {
    const alice = await join(rig);
    const key = unknownKey();
    alice.send(key, "data");
    alice.send(key, Buffer.alloc(0));
    await alice.hearsNothing();
    alice.send(key, discoPacket());
    await alice.hearsGone(key, PeerGoneReason.notHere);
  },
);

statement(
  "54. Given six disco packets in quick succession to an unknown key, then exactly three PeerGone; one second later one more is possible.",
  async (rig) => {
    const alice = await join(rig);
    const key = unknownKey();
    alice.write(Buffer.concat(Array.from({ length: 6 }, () => encodeSendPacket(key, discoPacket()))));
    for (let count = 0; count < 3; count++) await alice.hearsGone(key, PeerGoneReason.notHere);
    await alice.hearsNothing();
    // The limiter fills up by the relay's own clock: ask until it has one again.
    const started = performance.now();
    for (let frames: unknown[] = []; frames.length === 0; frames = await alice.sync()) {
      alice.send(key, discoPacket());
    }
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds > 0.8 && seconds < 2, `after ${seconds} s`);
  },
);

statement(
  "55. Given a 61-byte packet with the disco magic, then it counts as other and gets no PeerGone.",
  async (rig) => {
    const alice = await join(rig);
    alice.send(unknownKey(), discoPacket(61));
    await alice.hearsNothing();
  },
);

statement(
  "56. Given B received from A, when A disconnects, then B gets PeerGone(A, 00) once; clients that never received from A get none.",
  async (rig) => {
    const [a, b, other, first] = await Promise.all([join(rig), join(rig), join(rig), join(rig)]);
    first.send(b, "0");
    await b.receives(first, "0");
    other.send(a, "the other way round");
    await a.receives(other, "the other way round");
    a.send(b, "1");
    a.send(b, "2");
    await b.receives(a, "1");
    await b.receives(a, "2");
    await a.leave();
    await b.hearsGone(a.key, PeerGoneReason.disconnected);
    await b.hearsNothing();
    await first.leave();
    await b.hearsGone(first.key, PeerGoneReason.disconnected);
    await b.hearsNothing();
    await other.hearsNothing();
  },
);

statement(
  "57. Given A reconnects, sends again to B and leaves again, then B is told again (Q3).",
  async (rig) => {
    const b = await join(rig);
    const privateKey = generatePrivateKey();
    for (const turn of [1, 2, 3]) {
      const a = await join(rig, { privateKey });
      a.send(b, `turn ${turn}`);
      await b.receives(a, `turn ${turn}`);
      await a.leave();
      const told = turn === 1 || rig.differs("Q3", { derper: false, ours: true });
      if (told) await b.hearsGone(a.key, PeerGoneReason.disconnected);
      else await b.hearsNothing();
    }
  },
);

statement(
  "58. Given a receiver that stops reading, when a sender alternates between it and another client, then the other client's flow is unaffected and the sender is never blocked.",
  async (rig) => {
    const [sender, stopped, other] = await Promise.all([join(rig), join(rig), join(rig)]);
    stopped.socket.pause();
    const packet = randomBytes(16_384);
    for (let turn = 0; turn < 1_000; turn++) {
      sender.send(stopped, packet);
      sender.send(other, packet);
      await other.receives(sender, packet);
    }
    await sender.sync();
  },
  // 16 MiB are more than socket buffers hold. The write timeout is not part of this.
  { relay: { flags: { "tcp-write-timeout": "0" } } },
);

const flood = randomBytes(60_000);

/**
 * Floods a client that does not read, then lets it read: it gets the newest packets of each kind, so many of them. What
 * its socket took just before the end comes on top, which on a busy machine can be a lot: hence some attempts, of which
 * each has to keep enough and one not too much.
 */
async function expectQueueDepth(rig: Rig, depth: number): Promise<void> {
  const all: number[] = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    const kept = await keptPackets(rig);
    all.push(...kept);
    // The first packet that asked to be told when all is here pushed one out.
    assert.ok(Math.min(...kept) >= depth - 1, `${kept.join(" and ")} packets were kept`);
    if (Math.max(...kept) < 2 * depth) return;
  }
  assert.fail(`never fewer than ${2 * depth} packets were kept: ${all.join(", ")}`);
}

/** @returns how many packets, data and disco, came in one piece with the last one that was sent */
async function keptPackets(rig: Rig): Promise<[data: number, disco: number]> {
  const [sender, stopped] = await pair(rig);
  stopped.socket.pause();
  const [dataCount, discoCount] = [10_000, 1_000];
  for (let index = 0; index < dataCount; index++) sender.send(stopped, numbered(index, Buffer.alloc(62)));
  await sender.sync();
  for (let index = 0; index < discoCount; index++) sender.send(stopped, numbered(index, discoPacket()));
  await sender.sync();
  const frames = [await stopped.sync(), await stopped.sync(), await stopped.sync()].flat();
  const packets = frames.map(({ payload }) => payload.subarray(keyLength));
  const numbers = (disco: boolean): number[] =>
    packets.filter((packet) => (packet[0] !== 0) === disco).map((packet) => packet.readUInt32BE(62));
  return [behindLastGap(numbers(false), dataCount), behindLastGap(numbers(true), discoCount)];
}

const queueMode = (depth: string): StatementOptions => ({
  relay: { flags: { "tcp-write-timeout": "0" }, env: { TS_DEBUG_DERP_PER_CLIENT_SEND_QUEUE_DEPTH: depth } },
});

statement(
  "59. (in the mode of statement 60) Given a stopped receiver and 33 + n data packets beyond its socket buffer, then the oldest are dropped, newest kept; disco packets use a separate queue of the same depth.",
  (rig) => expectQueueDepth(rig, 32),
  queueMode("32"),
);

statement(
  "60. Given `TS_DEBUG_DERP_PER_CLIENT_SEND_QUEUE_DEPTH=64`, then depth 64.",
  (rig) => expectQueueDepth(rig, 64),
  queueMode("64"),
);

function numbered(index: number, head: Buffer): Buffer {
  const packet = Buffer.alloc(2_000);
  packet.set(head);
  packet.writeUInt32BE(index, 62);
  return packet;
}

/** How many numbers come after the last gap. The last of them has to be there. */
function behindLastGap(numbers: readonly number[], count: number): number {
  assert.equal(numbers.at(-1), count - 1);
  const gap = numbers.findLastIndex((number, index) => number !== (numbers[index - 1] ?? -1) + 1);
  return numbers.length - Math.max(0, gap);
}

statement(
  "61. Given a stopped receiver for longer than the write timeout with data pending, then it is disconnected.",
  async (rig) => {
    const [sender, stopped] = await pair(rig);
    // The sender is told, as something from it has reached the receiver.
    stopped.send(sender, "hello");
    await sender.receives(stopped, "hello");
    stopped.socket.pause();
    await sender.floods(stopped);
  },
  { relay: { flags: { "tcp-write-timeout": "500ms" } } },
);

statement(
  "61. Given `-tcp-write-timeout=0`, then a stopped receiver is not disconnected.",
  async (rig) => {
    const [sender, stopped] = await pair(rig);
    stopped.send(sender, "hello");
    await sender.receives(stopped, "hello");
    stopped.socket.pause();
    const until = performance.now() + 5_000;
    while (performance.now() < until) {
      for (let count = 0; count < 16; count++) sender.send(stopped, flood);
      assert.deepEqual(await sender.sync(), []);
    }
  },
  { relay: { flags: { "tcp-write-timeout": "0" } }, slow: true },
);

statement(
  "62. Given an idle connection, then KeepAlive `06 00000000` between 60 and 65 s after connecting and again after the same interval.",
  async (rig) => {
    // No Ping with it: it says that it answers none.
    const client = await join(rig, { info: '{"version":2}' });
    const started = performance.now();
    const intervals: number[] = [];
    for (const turn of [0, 1]) {
      const header = await waitForFrame(client, 70_000);
      assert.equal(header.toString("hex"), "0600000000");
      intervals.push((performance.now() - started) / 1_000 - (turn === 0 ? 0 : (intervals[0] ?? 0)));
    }
    const [first = 0, second = 0] = intervals;
    assert.ok(first >= 59.5 && first < 66, `first after ${first} s`);
    assert.ok(Math.abs(first - second) < 1, `${first} s, then ${second} s`);
  },
  { slow: true },
);

async function waitForFrame({ socket }: Client, ms: number): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing came in ${ms} ms`)), ms);
    socket.once("data", (chunk: Buffer) => {
      clearTimeout(late);
      resolve(chunk);
    });
  });
}

statement(
  "63. Given Ping of 8 bytes, then Pong with the same 8; of 20 and 1000 bytes, then Pong with the first 8.",
  async (rig) => {
    for (const length of [8, 20, 1_000]) {
      const alice = await join(rig);
      const payload = randomBytes(length);
      alice.frame(FrameType.ping, payload);
      assert.deepEqual(await alice.next(), { type: FrameType.pong, payload: payload.subarray(0, 8) });
    }
  },
);

describe("63. Given Ping of 7 or 1001 bytes, then closed.", () => {
  for (const length of [0, 7, 1_001])
    statement(`${length} bytes`, async (rig) => {
      const alice = await join(rig);
      alice.frame(FrameType.ping, Buffer.alloc(length));
      assert.deepEqual(await alice.closed(), []);
    });
});

statement(
  "64. Given many pings at once while the writer is busy, then at least one Pong, never an error.",
  async (rig) => {
    const alice = await join(rig);
    const ping = encodeFrame(FrameType.ping, Buffer.from("8 bytes!"));
    const busy = encodeSendPacket(alice.key, flood);
    alice.write(Buffer.concat([busy, ...Array.from({ length: 1_000 }, () => ping), busy]));
    const seen = new Map<number, number>();
    while (seen.get(FrameType.recvPacket) !== 2 || !seen.has(FrameType.pong)) {
      const { type } = await alice.next();
      seen.set(type, (seen.get(type) ?? 0) + 1);
    }
    await alice.sync();
    assert.deepEqual(new Set(seen.keys()), new Set([FrameType.recvPacket, FrameType.pong]));
  },
);

statement("64. Given a Ping as soon as the Pong before it is there, then each is answered.", async (rig) => {
  const pingPong = async (client: Client): Promise<void> => {
    for (let turn = 0; turn < 300; turn++) {
      client.frame(FrameType.ping, Buffer.from("8 bytes!"));
      assert.equal((await client.next()).type, FrameType.pong, `turn ${turn}`);
    }
  };
  const clients = await joinAll(rig, 10);
  // Their logins keep the relay from noticing at once what became of its writes.
  await Promise.all([joinAll(rig, 100), ...clients.map(pingPong)]);
});

const skipped = { "an unknown type": 0x77, KeepAlive: FrameType.keepAlive, Pong: FrameType.pong };
describe("65. Given an unknown type with 1 MiB of payload, KeepAlive or Pong from a client, then discarded and the connection works on.", () => {
  for (const [name, type] of Object.entries(skipped))
    statement(name, async (rig) => {
      const alice = await join(rig);
      alice.frame(type, Buffer.alloc(1_048_576, FrameType.ping));
      alice.frame(type);
      await alice.hearsNothing();
    });
});

const serverFrames = [
  FrameType.clientInfo,
  FrameType.serverKey,
  FrameType.serverInfo,
  FrameType.peerGone,
  0x00,
  0xff,
];
statement("65. Given ClientInfo again or a frame of a server, then discarded likewise.", async (rig) => {
  const alice = await join(rig);
  for (const type of serverFrames) alice.frame(type, randomBytes(100));
  await alice.hearsNothing();
});

describe("67. Given NotePreferred of 0 or 2 bytes, then closed.", () => {
  for (const length of [0, 2])
    statement(`${length} bytes`, async (rig) => {
      const alice = await join(rig);
      alice.frame(FrameType.notePreferred, Buffer.alloc(length, 1));
      assert.deepEqual(await alice.closed(), []);
    });
});

statement(
  "68. Given a burst of packets for one client, then everything is flushed when the queue is empty.",
  async (rig) => {
    const [alice, bob] = await pair(rig);
    for (const count of [1, 5, 30]) {
      const burst = Array.from({ length: count }, (_, index) =>
        encodeSendPacket(bob.key, Buffer.from(`${index}`)),
      );
      alice.write(Buffer.concat(burst));
      for (const index of burst.keys()) await bob.receives(alice, `${index}`);
    }
  },
);

statement("69. Given EOF in the middle of a frame, then only that connection ends.", async (rig) => {
  const [alice, bob, cathy] = await Promise.all([join(rig), join(rig), join(rig)]);
  bob.send(alice, "hello");
  alice.send(bob, "hello");
  await alice.receives(bob, "hello");
  await bob.receives(alice, "hello");
  alice.socket.end(encodeSendPacket(bob.key, Buffer.alloc(100)).subarray(0, 60));
  assert.deepEqual(await alice.closed(), []);
  await bob.hearsGone(alice.key, PeerGoneReason.disconnected);
  cathy.send(bob, "still here");
  await bob.receives(cathy, "still here");
});
