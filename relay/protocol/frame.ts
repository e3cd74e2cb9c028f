/**
 * The DERP protocol, version 2, on one page.
 *
 * A connection begins with a handshake and is a stream of frames afterwards. A frame is a header of five bytes, type (1)
 * and payload length (4, big-endian, without the header), and its payload. "key" is a 32-byte Curve25519 public key.
 *
 *   S→C  ServerKey    magic(8) key(32), and bytes of the future, which are ignored
 *   C→S  ClientInfo   key(32) nonce(24) box(json)
 *   S→C  ServerInfo   nonce(24) box(json)
 *   then frames in both directions, until either side closes. There are no error frames: a failure is a close.
 */
import { keyLength } from "../crypto/keys.ts";

export const protocolVersion = 2;

/** The first eight payload bytes of ServerKey: "DERP" and the key emoji in UTF-8. */
export const magic = Buffer.from("44455250f09f9491", "hex");

export const headerLength = 5;
export { keyLength };
export const nonceLength = 24;
/** What a NaCl box adds to its plaintext. */
export const boxOverhead = 16;
/** The longest packet that a relay passes on. */
export const maxPacket = 65_536;

export const FrameType = {
  /** S→C, magic(8) key(32) */
  serverKey: 0x01,
  /** C→S, key(32) nonce(24) box(json) */
  clientInfo: 0x02,
  /** S→C, nonce(24) box(json) */
  serverInfo: 0x03,
  /** C→S, destination key(32) packet */
  sendPacket: 0x04,
  /** S→C, source key(32) packet */
  recvPacket: 0x05,
  /** S→C, empty; a client that hears nothing for 120 s gives the relay up */
  keepAlive: 0x06,
  /** C→S, one byte: not zero if this relay is the client's home */
  notePreferred: 0x07,
  /** S→C, key(32) reason(1) */
  peerGone: 0x08,
  /** S→C to watchers only, key(32) ip(16) port(2) flags(1) */
  peerPresent: 0x09,
  /** C→S with the mesh key only, source key(32) destination key(32) packet */
  forwardPacket: 0x0a,
  /** C→S with the mesh key only, empty */
  watchConns: 0x10,
  /** C→S with the mesh key only, key(32) */
  closePeer: 0x11,
  /** both ways, eight bytes (a relay accepts up to 1000 and echoes the first eight) */
  ping: 0x12,
  /** both ways, the eight bytes of the ping */
  pong: 0x13,
  /** S→C, text; empty means healthy again */
  health: 0x14,
  /** S→C, reconnect in ms(4), try for ms(4) */
  restarting: 0x15,
} as const;

/** Why a peer is gone, as PeerGone says it. */
export const PeerGoneReason = {
  disconnected: 0x00,
  notHere: 0x01,
} as const;
export type PeerGoneReason = (typeof PeerGoneReason)[keyof typeof PeerGoneReason];

/** What PeerPresent says of a connection: the sum of these. */
export const PeerPresentFlag = {
  /** None of the others. Zero is what relays say that are too old to know. */
  regular: 0x01,
  /** It has shown the mesh key. */
  meshPeer: 0x02,
  prober: 0x04,
  /** The client would rather be on another node of the region. */
  notIdeal: 0x08,
} as const;

/** Payload lengths, in bytes, beyond which a relay closes the connection. */
export const limits = {
  clientInfo: { min: keyLength + nonceLength, max: 262_144 },
  sendPacket: { min: keyLength, max: keyLength + maxPacket },
  forwardPacket: { min: 2 * keyLength, max: 2 * keyLength + maxPacket },
  ping: { min: 8, max: 1_000 },
} as const;

/** What a client accepts from a relay; a longer frame makes it drop the connection. */
export const maxFrameToClient = 1_048_576;

const discoMagic = Buffer.from("5453f09f92ac", "hex");
/** Magic, a public key and a nonce: nothing shorter can be a disco message. */
const minDisco = discoMagic.length + keyLength + nonceLength;

/** Tells whether a packet looks like one of Tailscale's discovery messages, the only kind that gets PeerGone "not here". */
export function looksLikeDisco(buffer: Uint8Array, start: number, end: number): boolean {
  if (end - start < minDisco) return false;
  for (let i = 0; i < discoMagic.length; i++) {
    if (buffer[start + i] !== discoMagic[i]) return false;
  }
  return true;
}
