/** Decodes the frames that a relay sends once a client is logged in. Pure. */
import { FrameType, keyLength, PeerGoneReason } from "../protocol/frame.ts";
import { type NodeKey, nodeKey } from "../crypto/keys.ts";

export type ServerFrame =
  | { readonly type: "packet"; readonly source: NodeKey; readonly packet: Buffer }
  | {
      readonly type: "peerGone";
      readonly key: NodeKey;
      readonly reason: "disconnected" | "notHere" | "unknown";
    }
  /** To watchers: a connection of this key is there. Address and flags are of no use to a relay. */
  | { readonly type: "peerPresent"; readonly key: NodeKey }
  | { readonly type: "keepAlive" }
  /** Both hold the eight bytes of a ping. */
  | { readonly type: "ping" | "pong"; readonly payload: Buffer }
  /** What is wrong with this connection, in words; empty if all is well again. */
  | { readonly type: "health"; readonly problem: string }
  | { readonly type: "restarting"; readonly reconnectInMs: number; readonly tryForMs: number };

const pingLength = 8;

/**
 * Decodes one frame. The bytes are copied.
 *
 * @returns undefined for a frame that a client skips: of an unknown type, or too short for its type
 */
export function decodeServerFrame(type: number, payload: Buffer): ServerFrame | undefined {
  switch (type) {
    case FrameType.recvPacket:
      if (payload.length < keyLength) return undefined;
      return { type: "packet", source: keyAt(payload), packet: Buffer.from(payload.subarray(keyLength)) };
    case FrameType.peerGone:
      if (payload.length < keyLength) return undefined;
      return { type: "peerGone", key: keyAt(payload), reason: goneReason(payload[keyLength]) };
    case FrameType.peerPresent:
      return payload.length < keyLength ? undefined : { type: "peerPresent", key: keyAt(payload) };
    case FrameType.keepAlive:
      return { type: "keepAlive" };
    case FrameType.ping:
    case FrameType.pong:
      if (payload.length < pingLength) return undefined;
      return {
        type: type === FrameType.ping ? "ping" : "pong",
        payload: Buffer.from(payload.subarray(0, pingLength)),
      };
    case FrameType.health:
      return { type: "health", problem: payload.toString("utf8") };
    case FrameType.restarting:
      if (payload.length < 8) return undefined;
      return {
        type: "restarting",
        reconnectInMs: payload.readUInt32BE(0),
        tryForMs: payload.readUInt32BE(4),
      };
    default:
      return undefined;
  }
}

function keyAt(payload: Buffer): NodeKey {
  return nodeKey(payload.subarray(0, keyLength));
}

/** Relays before the reason was invented send none, and mean that the peer disconnected. */
function goneReason(reason: number | undefined): "disconnected" | "notHere" | "unknown" {
  if (reason === undefined || reason === PeerGoneReason.disconnected) return "disconnected";
  return reason === PeerGoneReason.notHere ? "notHere" : "unknown";
}
