/** Encodes frames. Packets have writers into a given buffer; the rare frames come as buffers of their own. */
import { FrameType, headerLength, keyLength, magic, type PeerGoneReason } from "./frame.ts";

/** Writes a frame header at `offset` and returns the offset behind it. */
export function writeHeader(target: Buffer, offset: number, type: number, length: number): number {
  target[offset] = type;
  target[offset + 1] = length >>> 24;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 8;
  target[offset + 4] = length;
  return offset + headerLength;
}

/** Encodes one frame from the pieces of its payload. */
export function encodeFrame(type: number, ...pieces: readonly Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const frame = Buffer.allocUnsafe(headerLength + length);
  let at = writeHeader(frame, 0, type, length);
  for (const piece of pieces) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame;
}

/** ServerKey: the first frame that a relay sends. */
export function encodeServerKey(relayKey: Uint8Array): Buffer {
  return encodeFrame(FrameType.serverKey, magic, relayKey);
}

/** SendPacket: a client asks the relay to pass a packet on. */
export function encodeSendPacket(destination: Uint8Array, packet: Uint8Array): Buffer {
  return encodeFrame(FrameType.sendPacket, destination, packet);
}

export function encodePeerGone(key: Uint8Array, reason: PeerGoneReason): Buffer {
  return encodeFrame(FrameType.peerGone, key, Uint8Array.of(reason));
}

/** PeerPresent: 51 bytes of payload. `ip` has 16 bytes, IPv4 in its mapped form. */
export function encodePeerPresent(key: Uint8Array, ip: Uint8Array, port: number, flags: number): Buffer {
  return encodeFrame(FrameType.peerPresent, key, ip, Uint8Array.of(port >>> 8, port & 0xff, flags));
}

/** Pong: the first eight bytes of a ping's payload. */
export function encodePong(payload: Uint8Array): Buffer {
  return encodeFrame(FrameType.pong, payload.subarray(0, 8));
}

/** NotePreferred: a client says whether this relay is its home. */
export function encodeNotePreferred(preferred: boolean): Buffer {
  return encodeFrame(FrameType.notePreferred, Uint8Array.of(preferred ? 1 : 0));
}

/** Health: what is wrong with the connection, in words for a person; empty if all is well again. */
export function encodeHealth(problem: string): Buffer {
  return encodeFrame(FrameType.health, Buffer.from(problem, "utf8"));
}

/** Restarting: when to come back and for how long to try, both in milliseconds. */
export function encodeRestarting(reconnectInMs: number, tryForMs: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(reconnectInMs, 0);
  payload.writeUInt32BE(tryForMs, 4);
  return encodeFrame(FrameType.restarting, payload);
}

/** Bytes that RecvPacket adds to a packet. */
export const recvPacketOverhead = headerLength + keyLength;
