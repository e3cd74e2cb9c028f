import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeKey } from "../crypto/keys.ts";
import { frameLength } from "../testing/cast.ts";
import { FrameType } from "../protocol/frame.ts";
import { Peer } from "./peer.ts";
import { defaultQueueLimits, derperQueueLimits, PacketQueue, type QueueLimits } from "./packet-queue.ts";
import { SlabPool, slabSize } from "./slab-pool.ts";

const names = ["alice", "bob", "cathy"] as const;
const sources = names.map((_name, index) => new Peer(nodeKey(Buffer.alloc(32, 10 + index))));

/** A queue whose packets carry their number, and what became of each. */
function numberedQueue(limits = defaultQueueLimits) {
  const queue = new PacketQueue(FrameType.recvPacket, new SlabPool(), limits);
  const dropped: number[] = [];
  const sent: number[] = [];
  const waiting: number[] = [];
  let next = 0;
  const observer = {
    sent: () => sent.push(waiting.shift() as number),
    dropped: () => dropped.push(waiting.shift() as number),
  };
  return {
    queue,
    dropped,
    sent,
    push: (size: number, now = 0) => {
      const packet = Buffer.alloc(Math.max(size, 4));
      packet.writeUInt32BE(next);
      waiting.push(next++);
      queue.push(sources[0] as Peer, packet, 0, packet.length, now, observer);
    },
    take: (max: number, now = 0) => queue.take(max, now, observer),
  };
}

/** The numbers of the packets in a piece, read from its bytes. */
function numbersIn(piece: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < piece.length; at += 5 + piece.readUInt32BE(at + 1))
    numbers.push(piece.readUInt32BE(at + 37));
  return numbers;
}

test("packets that lie together are taken as one piece, in order", () => {
  const { push, take } = numberedQueue();
  for (let i = 0; i < 10; i++) push(100);
  const piece = take(slabSize) as Buffer;
  assert.equal(piece.length, 10 * frameLength(100));
  assert.deepEqual(numbersIn(piece), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(take(slabSize), undefined);
});

test("a piece is as long as asked for, but holds at least one frame", () => {
  const { push, take } = numberedQueue();
  for (let i = 0; i < 3; i++) push(1_000);
  assert.deepEqual(numbersIn(take(2 * frameLength(1_000)) as Buffer), [0, 1]);
  assert.deepEqual(numbersIn(take(1) as Buffer), [2]);
});

test("Q18. the oldest make room once there is more than a mebibyte and more than 32 packets", () => {
  const small = numberedQueue();
  for (let i = 0; i < 10_000; i++) small.push(10);
  assert.equal(small.dropped.length, 0, "10 000 small packets are not too much");
  const large = numberedQueue();
  for (let i = 0; i < 40; i++) large.push(65_536);
  assert.deepEqual(large.dropped, [0, 1, 2, 3, 4, 5, 6, 7], "32 of the largest are always kept");
  const middle = numberedQueue();
  for (let i = 0; i < 2_000; i++) middle.push(1_280);
  assert.ok(middle.queue.bytes <= defaultQueueLimits.maxBytes);
  assert.equal(middle.dropped.length + middle.queue.count, 2_000);
});

test("Q18. what is older than a second is dropped when it would be sent", () => {
  const { push, take, dropped } = numberedQueue();
  push(10, 0);
  push(10, 500);
  push(10, 1_400);
  assert.deepEqual(numbersIn(take(slabSize, 1_501) as Buffer), [2]);
  assert.deepEqual(dropped, [0, 1]);
});

test("60. in derper's mode a queue holds so many packets, whatever their size and age, and the oldest goes", () => {
  const { push, take, dropped, queue } = numberedQueue(derperQueueLimits(64));
  for (let i = 0; i < 70; i++) push(i % 2 === 0 ? 4 : 60_000, i);
  assert.deepEqual(dropped, [0, 1, 2, 3, 4, 5]);
  assert.equal(queue.count, 64);
  assert.equal(numbersIn(take(1, 1_000_000) as Buffer)[0], 6);
});

/** What a queue is meant to do, in the simplest words: a list. */
class ListedQueue {
  packets: { number: number; source: number; bytes: number; at: number }[] = [];
  dropped = 0;

  push(
    number: number,
    source: number,
    bytes: number,
    at: number,
    { maxBytes, minPackets, shed }: QueueLimits,
  ) {
    this.packets.push({ number, source, bytes, at });
    while (this.packets.reduce((sum, packet) => sum + packet.bytes, 0) > maxBytes) {
      if (this.packets.length <= minPackets) return;
      const has = (of: number): number =>
        this.packets.reduce((sum, packet) => sum + (packet.source === of ? packet.bytes : 0), 0);
      const most = Math.max(...names.map((_name, index) => has(index)));
      const victim = this.packets.findIndex((packet) => shed === "oldest" || has(packet.source) === most);
      this.packets.splice(victim, 1);
      this.dropped++;
    }
  }

  expire(oldest: number): void {
    while (this.packets[0] !== undefined && this.packets[0].at < oldest) {
      this.packets.shift();
      this.dropped++;
    }
  }
}

test("Q18. when a queue is full the source with most bytes in it loses its oldest packet", () => {
  const { queue, pushFrom, rest } = sourcedQueue({ ...defaultQueueLimits, maxBytes: 10_000, minPackets: 2 });
  pushFrom(0, 0, 1_000);
  for (let number = 1; number <= 100; number++) pushFrom(1, number, 1_000);
  pushFrom(2, 101, 1_000);
  assert.ok(queue.bytes <= 10_000);
  assert.deepEqual(
    rest(),
    [0, 94, 95, 96, 97, 98, 99, 100, 101],
    "bob floods, alice and cathy do not notice",
  );
});

/** A queue that several send to; packets carry their number. */
function sourcedQueue(limits: QueueLimits, pool = new SlabPool()) {
  const queue = new PacketQueue(FrameType.recvPacket, pool, limits);
  const counts = { sent: 0, dropped: 0 };
  const observer = { sent: () => counts.sent++, dropped: () => counts.dropped++ };
  return {
    queue,
    counts,
    observer,
    pushFrom: (source: number, number: number, size: number, now = 0): void => {
      const packet = Buffer.alloc(size, number);
      packet.writeUInt32BE(number);
      queue.push(sources[source] as Peer, packet, 0, size, now, observer);
    },
    rest: (): number[] => {
      const numbers: number[] = [];
      for (;;) {
        const piece = queue.take(slabSize, 0, observer);
        if (piece === undefined) return numbers;
        numbers.push(...numbersIn(piece));
        queue.release();
      }
    },
  };
}

test("a queue does what a list would, sends every packet undamaged, and gives all memory back", () => {
  const size = fc.oneof(fc.integer({ min: 4, max: 2_000 }), fc.integer({ min: 4, max: 65_536 }));
  const from = fc.nat(names.length - 1);
  const steps = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("push" as const), from, size }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("flood" as const), from, size, times: fc.nat(60) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("take" as const),
        max: fc.integer({ min: 1, max: slabSize }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 700 }) }),
    },
  );
  const shed = fc.constantFrom("heaviest" as const, "oldest" as const);
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 150 }), shed, (script, rule) => {
      const limits = { maxBytes: 200_000, minPackets: 2, maxAge: 1_000, shed: rule };
      const pool = new SlabPool();
      const { queue, counts, observer, pushFrom } = sourcedQueue(limits, pool);
      const listed = new ListedQueue();
      let [now, next] = [0, 0];
      let lent: { piece: Buffer; bytes: Buffer } | undefined;
      const settle = (): void => {
        if (lent !== undefined)
          assert.ok(lent.piece.equals(lent.bytes), "a piece in a socket was written over");
        lent = undefined;
        queue.release();
      };
      const push = (source: number, length: number): void => {
        listed.push(next, source, frameLength(length), now, limits);
        pushFrom(source, next++, length, now);
      };
      for (const step of script) {
        if (step.kind === "push") push(step.from, step.size);
        else if (step.kind === "flood") for (let i = 0; i < step.times; i++) push(step.from, step.size);
        else if (step.kind === "wait") now += step.ms;
        else if (step.kind === "release") settle();
        else if (lent === undefined) {
          listed.expire(now - limits.maxAge);
          const piece = queue.take(step.max, now, observer);
          const numbers = piece === undefined ? [] : numbersIn(piece);
          const meant = listed.packets.splice(0, numbers.length);
          assert.deepEqual(
            numbers,
            meant.map(({ number }) => number),
          );
          if (piece === undefined) assert.equal(listed.packets.length, 0);
          else lent = { piece, bytes: Buffer.from(piece) };
        }
        assert.equal(queue.count, listed.packets.length);
        assert.equal(
          queue.bytes,
          listed.packets.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        assert.equal(counts.dropped, listed.dropped);
        assert.ok(pool.bytesOut <= 3 * limits.maxBytes + 4 * slabSize, "holes do not pile up");
      }
      settle();
      queue.clear(observer);
      assert.equal(counts.sent + counts.dropped, next);
      assert.equal(pool.bytesOut, 0);
    }),
    { numRuns: 300 },
  );
});

test("while memory is short a queue that gives way stays whole", () => {
  const steps = fc.array(
    fc.record({ from: fc.nat(2), size: fc.integer({ min: 4, max: 65_536 }), take: fc.boolean() }),
  );
  fc.assert(
    fc.property(steps, (script) => {
      const limits = { maxBytes: 1_000_000, minPackets: 2, maxAge: 1_000, shed: "heaviest" as const };
      const pool: SlabPool = new SlabPool(3 * slabSize, () => queue.shed(observer));
      const { queue, counts, observer, pushFrom } = sourcedQueue(limits, pool);
      for (const [number, { from, size, take }] of script.entries()) {
        pushFrom(from, number, size);
        assert.ok(pool.bytesOut <= 3 * slabSize);
        if (!take) continue;
        const piece = queue.take(16_384, 0, observer) as Buffer;
        assert.ok(numbersIn(piece).every((each) => each <= number));
        queue.release();
      }
      queue.clear(observer);
      assert.equal(counts.sent + counts.dropped, script.length);
      assert.equal(pool.bytesOut, 0);
    }),
  );
});
