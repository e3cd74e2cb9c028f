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
  const piece = (...names: string[]): void => {
    for (const name of names) turn.flushLater(client(name));
    turn.received(0);
  };
  const taken = (): string => flushed.splice(0).join("");
  return { turn, piece, taken, requests: () => requests };
}

test("what a busy turn brings is written at its end, in order, and the end is asked for once", () => {
  const { turn, piece, taken, requests } = stage();
  for (const name of "abcdef") piece(name);
  assert.deepEqual([requests(), taken()], [1, ""]);
  turn.end(0);
  assert.equal(taken(), "abcdef");
});

test("after a turn that brought little the first pieces are passed on at once, and only so many", () => {
  const { turn, piece, taken, requests } = stage();
  turn.end(0);
  piece("a", "b");
  assert.equal(taken(), "ab");
  for (const name of "cdefg") piece(name);
  assert.equal(taken(), "cde");
  turn.end(0);
  assert.equal(taken(), "fg");
  assert.equal(requests(), 1);
});
