/** Seals and opens the two Info frames. The sealed form is `nonce(24) box`; ClientInfo has the client's key before it. */
import { openBox, sealBox } from "../crypto/box.ts";
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
}

/**
 * Opens the payload of a ClientInfo frame. That it opens proves the key: only its owner can have sealed it to us.
 *
 * @returns undefined if the connection has to be closed
 */
export function openClientInfo(payload: Uint8Array, relayKey: PrivateKey): Greeting | undefined {
  if (payload.length < keyLength + nonceLength + boxOverhead) return undefined;
  const key = nodeKey(payload.subarray(0, keyLength));
  if (isZeroKey(key)) return undefined;
  const json = openSealed(payload.subarray(keyLength), key, relayKey);
  const info = json === undefined ? undefined : parseClientInfo(json);
  return info === undefined ? undefined : { key, info };
}

/**
 * Encodes the ServerInfo frame for a client.
 *
 * @param nonce 24 fresh random bytes
 * @throws RangeError if the client's key is of small order; `openClientInfo` has let no such key through
 */
export function encodeServerInfo(
  relayKey: PrivateKey,
  client: NodeKey,
  nonce: Uint8Array,
  info?: ServerInfo,
): Buffer {
  return encodeFrame(FrameType.serverInfo, nonce, seal(renderServerInfo(info), nonce, client, relayKey));
}

/** Encodes a client's ClientInfo frame. */
export function encodeClientInfo(
  clientKey: PrivateKey,
  clientPublic: NodeKey,
  relayPublic: NodeKey,
  nonce: Uint8Array,
  info: ClientInfo,
): Buffer {
  const box = seal(renderClientInfo(info), nonce, relayPublic, clientKey);
  return encodeFrame(FrameType.clientInfo, clientPublic, nonce, box);
}

/** Opens the payload of a ServerInfo frame; undefined if the client has to drop the connection. */
export function openServerInfo(
  payload: Uint8Array,
  relayPublic: NodeKey,
  clientKey: PrivateKey,
): ServerInfo | undefined {
  const json = openSealed(payload, relayPublic, clientKey);
  return json === undefined ? undefined : parseServerInfo(json);
}

function openSealed(sealed: Uint8Array, theirs: NodeKey, ours: PrivateKey): Buffer | undefined {
  if (sealed.length < nonceLength + boxOverhead) return undefined;
  return openBox(sealed.subarray(nonceLength), sealed.subarray(0, nonceLength), theirs, ours);
}

function seal(json: Buffer, nonce: Uint8Array, theirs: NodeKey, ours: PrivateKey): Buffer {
  const box = sealBox(json, nonce, theirs, ours);
  if (box === undefined) throw new RangeError("a public key of small order cannot be sealed to");
  return box;
}
