import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeKey } from "../crypto/keys.ts";
import { frameLength } from "../testing/cast.ts";
import { FrameType } from "../protocol/frame.ts";
import { Peer } from "./peer.ts";
import { defaultQueueLimits, PacketQueue } from "./packet-queue.ts";
import { SlabPool, slabSize } from "./slab-pool.ts";

const source = new Peer(nodeKey(Buffer.alloc(32, 5)));

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
      queue.push(source, packet, 0, packet.length, now, observer);
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

test("every packet is either sent once, in order and undamaged, or dropped, whatever happens", () => {
  const steps = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), size: fc.integer({ min: 4, max: 65_536 }) }),
    fc.record({ kind: fc.constant("take" as const), max: fc.integer({ min: 1, max: slabSize }) }),
    fc.record({ kind: fc.constant("release" as const) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 700 }) }),
  );
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 150 }), (script) => {
      const { queue, push, take, sent, dropped } = numberedQueue({
        maxBytes: 200_000,
        minPackets: 2,
        maxAge: 1_000,
      });
      let now = 0;
      let pushed = 0;
      let lent: { piece: Buffer; bytes: Buffer } | undefined;
      const received: number[] = [];
      const settle = (): void => {
        if (lent !== undefined)
          assert.deepEqual(lent.piece, lent.bytes, "a piece in a socket was written over");
        lent = undefined;
        queue.release();
      };
      for (const step of script) {
        if (step.kind === "push") {
          push(step.size, now);
          pushed++;
        } else if (step.kind === "wait") {
          now += step.ms;
        } else if (step.kind === "release") {
          settle();
        } else if (lent === undefined) {
          const piece = take(step.max, now);
          if (piece !== undefined) {
            lent = { piece, bytes: Buffer.from(piece) };
            received.push(...numbersIn(piece));
          }
        }
      }
      settle();
      assert.deepEqual(received, sent);
      assert.deepEqual(
        sent,
        sent.toSorted((a, b) => a - b),
      );
      assert.equal(new Set([...sent, ...dropped]).size + queue.count, pushed);
    }),
    { numRuns: 200 },
  );
});
