/** Seals and opens the two Info frames. The sealed form is `nonce(24) box`; ClientInfo has the client's key before it. */
import { Box } from "../crypto/box.ts";
import { isZeroKey, type NodeKey, nodeKey, type PrivateKey } from "../crypto/keys.ts";
import { boxOverhead, FrameType, keyLength, nonceLength } from "./frame.ts";
import {
  type ClientInfo,
  parseClientInfo,
  parseServerInfo,
  renderClientInfo,
  renderServerInfo,
  type ServerInfo,
} from "./info.ts";
import { encodeFrame } from "./writer.ts";

/** A client that has proved to own its key. */
export interface Greeting {
  readonly key: NodeKey;
  readonly info: ClientInfo;
  /** Between the relay and the client. */
  readonly box: Box;
}

/**
 * Opens the payload of a ClientInfo frame. That it opens proves the key: only its owner can have sealed it to us.
 *
 * @returns undefined if the connection has to be closed
 */
export function openClientInfo(payload: Uint8Array, relayKey: PrivateKey): Greeting | undefined {
  if (payload.length < keyLength + nonceLength + boxOverhead) return undefined;
  const key = nodeKey(payload.subarray(0, keyLength));
  const box = isZeroKey(key) ? undefined : Box.between(relayKey, key);
  const json = box && openSealed(payload.subarray(keyLength), box);
  const info = json && parseClientInfo(json);
  return box && info && { key, info, box };
}

/**
 * Encodes the ServerInfo frame for a client.
 *
 * @param box between the relay and the client
 * @param nonce 24 fresh random bytes
 */
export function encodeServerInfo(box: Box, nonce: Uint8Array, info?: ServerInfo): Buffer {
  return encodeFrame(FrameType.serverInfo, nonce, box.seal(renderServerInfo(info), nonce));
}

/**
 * Encodes a client's ClientInfo frame.
 *
 * @throws RangeError if the relay's key is of small order
 */
export function encodeClientInfo(
  clientKey: PrivateKey,
  clientPublic: NodeKey,
  relayPublic: NodeKey,
  nonce: Uint8Array,
  info: ClientInfo,
): Buffer {
  const box = Box.between(clientKey, relayPublic);
  if (box === undefined) throw new RangeError("a public key of small order cannot be sealed to");
  return encodeFrame(FrameType.clientInfo, clientPublic, nonce, box.seal(renderClientInfo(info), nonce));
}

/** Opens the payload of a ServerInfo frame; undefined if the client has to drop the connection. */
export function openServerInfo(
  payload: Uint8Array,
  relayPublic: NodeKey,
  clientKey: PrivateKey,
): ServerInfo | undefined {
  const box = Box.between(clientKey, relayPublic);
  const json = box && openSealed(payload, box);
  return json && parseServerInfo(json);
}

function openSealed(sealed: Uint8Array, box: Box): Buffer | undefined {
  if (sealed.length < nonceLength + boxOverhead) return undefined;
  return box.open(sealed.subarray(nonceLength), sealed.subarray(0, nonceLength));
}
