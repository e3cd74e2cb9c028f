import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeServerFrame, type ServerFrame } from "./server-frame.ts";

const decode = (hex: string): ServerFrame | undefined => {
  const frame = Buffer.from(hex.replaceAll(" ", ""), "hex");
  assert.equal(frame.readUInt32BE(1), frame.length - 5);
  return decodeServerFrame(frame.readUInt8(0), frame.subarray(5));
};

test("the frames of Go's client parser test are read as there", () => {
  assert.deepEqual(decode("14 00000003 424144"), { type: "health", problem: "BAD" });
  assert.deepEqual(decode("14 00000000"), { type: "health", problem: "" });
  assert.deepEqual(decode("15 00000008 00000001 00000002"), {
    type: "restarting",
    reconnectInMs: 1,
    tryForMs: 2,
  });
  assert.deepEqual(decode("12 00000008 0102030405060708"), {
    type: "ping",
    payload: Buffer.from("0102030405060708", "hex"),
  });
});

test("PeerGone has a reason, and one without is of an old relay whose peer disconnected", () => {
  const key = "ab".repeat(32);
  const reasonOf = (frame: ServerFrame | undefined): string | undefined =>
    frame?.type === "peerGone" ? frame.reason : undefined;
  assert.equal(reasonOf(decode(`08 00000020 ${key}`)), "disconnected");
  assert.equal(reasonOf(decode(`08 00000021 ${key} 00`)), "disconnected");
  assert.equal(reasonOf(decode(`08 00000021 ${key} 01`)), "notHere");
  assert.equal(reasonOf(decode(`08 00000021 ${key} 77`)), "unknown");
});

test("frames that are too short and frames of unknown types are skipped", () => {
  const short = [
    "05 00000001 00",
    "08 0000001f" + "00".repeat(31),
    "13 00000007" + "00".repeat(7),
    "15 00000004 00000000",
  ];
  for (const hex of [...short, "7f 00000002 0000"]) assert.equal(decode(hex), undefined, hex);
});

test("surplus bytes at the end of a frame are ignored", () => {
  assert.deepEqual(decode("13 0000000a 0102030405060708 ffff"), {
    type: "pong",
    payload: Buffer.from("0102030405060708", "hex"),
  });
});
