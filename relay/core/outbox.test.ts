import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKey } from "../crypto/keys.ts";
import { FrameType } from "../protocol/frame.ts";
import { Outbox } from "./outbox.ts";
import { defaultQueueLimits } from "./packet-queue.ts";
import { Peer } from "./peer.ts";
import { SlabPool } from "./slab-pool.ts";

const source = new Peer(nodeKey(Buffer.alloc(32, 5)));

/** An outbox whose socket holds on to each write until it is told otherwise, and what was written. */
function slowOutbox() {
  const pieces: Buffer[] = [];
  const pipe = { write: (bytes: Buffer) => pieces.push(Buffer.from(bytes)) === 0 };
  const observer = { sent: () => {}, dropped: () => {} };
  const outbox = new Outbox(pipe, FrameType.recvPacket, new SlabPool(), defaultQueueLimits, observer);
  const push = (disco: boolean, times: number): void => {
    const packet = Buffer.alloc(1_000, disco ? "d" : "o");
    for (let i = 0; i < times; i++) outbox.pushPacket(source, disco, packet, 0, packet.length, 0);
  };
  return { outbox, pieces, push };
}

test("Q18. disco goes first, and a flood of it takes a quarter of what data takes", () => {
  const { outbox, pieces, push } = slowOutbox();
  push(true, 500);
  push(false, 500);
  outbox.flush(0);
  for (let turn = 0; turn < 19; turn++) outbox.handleDrained(0);
  const bytes = (kind: string): number =>
    pieces
      .filter((piece) => piece.at(-1) === kind.charCodeAt(0))
      .reduce((sum, { length }) => sum + length, 0);
  assert.equal(pieces[0]?.at(-1), "d".charCodeAt(0));
  const [disco, other] = [bytes("d"), bytes("o")];
  assert.ok(disco > 0.1 * other && disco < 0.4 * other, `${disco} of disco, ${other} of others`);
});

test("without data, disco has the socket for itself", () => {
  const { outbox, pieces, push } = slowOutbox();
  push(true, 12);
  outbox.flush(0);
  while (outbox.bytes > 0) outbox.handleDrained(0);
  assert.equal(
    pieces.reduce((sum, { length }) => sum + length, 0),
    12 * 1_037,
  );
});
