import assert from "node:assert/strict";
import test from "node:test";
import type { Flushable } from "./session-context.ts";
import { Turn } from "./turn.ts";

/** A turn, how often its end was asked for, and clients that note when they are flushed. */
function stage() {
  let requests = 0;
  const turn = new Turn(() => requests++);
  const flushed: string[] = [];
  const client = (name: string): Flushable => ({
    flush: () => flushed.push(name),
    queuedBytes: 0,
    shed() {},
  });
  /** A piece that leaves something to write for each of these clients. */
  const piece = (now: number, names = ""): void => {
    turn.reading(now);
    for (const name of names) turn.flushLater(client(name));
    turn.read(now);
  };
  const taken = (): string => flushed.splice(0).join("");
  return { turn, client, piece, taken, requests: () => requests };
}

test("while little comes, each piece is passed on at once, and no end is asked for", () => {
  const { piece, taken, requests } = stage();
  for (let now = 0; now < 5; now++) {
    piece(now, "ab");
    assert.equal(taken(), "ab");
    piece(now + 0.5, "c");
    assert.equal(taken(), "c");
  }
  assert.equal(requests(), 0);
});

test("what a busy turn brings is written at its end, in order, and the end is asked for once", () => {
  const { turn, piece, taken, requests } = stage();
  for (const name of "abcdefghijkl") piece(0, name);
  assert.equal(taken(), "abcdefgh");
  assert.equal(requests(), 1);
  turn.end(0);
  assert.equal(taken(), "ijkl");
  // The millisecond before was busy.
  for (const name of "abc") piece(1, name);
  assert.deepEqual([requests(), taken()], [2, ""]);
  turn.end(1);
  assert.equal(taken(), "abc");
  piece(2, "d");
  assert.equal(taken(), "d");
});

test("what is to be written for another reason than a piece waits for the turn's end", () => {
  const { turn, client, taken, requests } = stage();
  turn.flushLater(client("a"));
  turn.flushLater(client("b"));
  assert.deepEqual([requests(), taken()], [1, ""]);
  turn.end(0);
  assert.equal(taken(), "ab");
});

test("a piece that leaves nothing to write asks for nothing", () => {
  const { piece, taken, requests } = stage();
  for (let count = 0; count < 20; count++) piece(0);
  assert.deepEqual([requests(), taken()], [0, ""]);
});
