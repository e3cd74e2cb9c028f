/**
 * What a relay gets to see of its clients' packets. The relay itself has no such tap: this one wraps the function through
 * which each packet goes, in a process whose only purpose is the test.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { Router } from "../relay/core/router.ts";
import { keyLength, looksLikeDisco } from "../relay/protocol/frame.ts";

const lengthBytes = 4;

type Route = (this: Router, ...args: Parameters<Router["route"]>) => ReturnType<Router["route"]>;
/** Where each router finds the function. */
const prototype: { route: Route } = Router.prototype;

/** Writes the contents of every packet that relays in this process route to a file, until it is disposed of. */
export function tapPayloads(file: string): Disposable {
  const { route } = prototype;
  const output = openSync(file, "w");
  const length = Buffer.alloc(lengthBytes);
  prototype.route = function tapped(...args) {
    const [, , , payload, start, end] = args;
    const packet = payload.subarray(start + keyLength, end);
    length.writeUInt32BE(packet.length);
    writeSync(output, length);
    writeSync(output, packet);
    return route.apply(this, args);
  };
  return {
    [Symbol.dispose]() {
      prototype.route = route;
      closeSync(output);
    },
  };
}

/** Reads what a tap has written: one Buffer per packet. */
export function readPayloads(file: string): Buffer[] {
  const bytes = readFileSync(file);
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at + lengthBytes;
    at = start + bytes.readUInt32BE(at);
    payloads.push(bytes.subarray(start, at));
  }
  return payloads;
}

export type PayloadKind = "disco" | "initiation" | "response" | "cookie" | "data";

/** Type (little-endian, so three zero bytes follow it) and length of WireGuard's messages; of data, its least length. */
const wireGuard = new Map<number, { readonly kind: PayloadKind; readonly length: number }>([
  [1, { kind: "initiation", length: 148 }],
  [2, { kind: "response", length: 92 }],
  [3, { kind: "cookie", length: 64 }],
  [4, { kind: "data", length: 32 }],
]);

/** What a packet between Tailscale clients is; undefined for one that none of them sends. */
export function kindOfPayload(payload: Buffer): PayloadKind | undefined {
  if (looksLikeDisco(payload, 0, payload.length)) return "disco";
  const message = payload.length < lengthBytes ? undefined : wireGuard.get(payload.readUInt32LE(0));
  if (message?.kind === "data") return payload.length >= message.length ? "data" : undefined;
  return payload.length === message?.length ? message.kind : undefined;
}

const pieceLength = 64;

/** Counts the pieces of 64 bytes, cut from a pattern at multiples of 64, that occur somewhere in the bytes. */
export function countPieces(pattern: Buffer, bytes: Buffer): number {
  const pieces = new Set<string>();
  const begins = new Uint8Array(1 << 24); // By the first three bytes: all that most places are looked at.
  for (let at = 0; at + pieceLength <= pattern.length; at += pieceLength) {
    pieces.add(pattern.toString("latin1", at, at + pieceLength));
    begins[pattern.readUIntBE(at, 3)] = 1;
  }
  const found = new Set<string>();
  for (let at = 0; at + pieceLength <= bytes.length; at++) {
    if (begins[bytes.readUIntBE(at, 3)] === 0) continue;
    const piece = bytes.toString("latin1", at, at + pieceLength);
    if (pieces.has(piece)) found.add(piece);
  }
  return found.size;
}
