/**
 * Curve25519 keys and their text forms (Tailscale `types/key`). On the wire a key is always its 32 raw bytes.
 *
 * Parsers want the exact prefix and exactly 64 hex digits, of either case; renderers write lower case.
 */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, randomBytes } from "node:crypto";

/** The public key of a client or relay: its address in DERP. 32 bytes. */
export type NodeKey = Buffer & { readonly __brand: "NodeKey" };
/** A private key. 32 bytes, clamped. Never to be printed. */
export type PrivateKey = Buffer & { readonly __brand: "PrivateKey" };

/** Bytes of a key, public or private. */
export const keyLength = 32;

const privatePrefix = "privkey:";
const publicPrefix = "nodekey:";
/** What PKCS#8 and SPKI put before the 32 raw bytes of an X25519 key (RFC 8410, section 7 and 4). */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b656e032100", "hex");

/** Makes a private key of 32 random bytes, clamped as Curve25519 wants it. */
export function privateKeyFromSeed(seed: Uint8Array): PrivateKey {
  const key = Buffer.from(seed);
  if (key.length !== keyLength) throw new RangeError(`a private key has ${keyLength} bytes`);
  key[0] = (key[0] as number) & 248;
  key[31] = ((key[31] as number) & 127) | 64;
  return key as PrivateKey;
}

/** Makes a new private key. The one place in this file where something is drawn at random. */
export function generatePrivateKey(): PrivateKey {
  return privateKeyFromSeed(randomBytes(keyLength));
}

/** The public key that belongs to a private key. */
export function publicKeyOf(key: PrivateKey): NodeKey {
  const spki = createPublicKey(privateKeyObject(key)).export({ type: "spki", format: "der" });
  return spki.subarray(spkiPrefix.length) as NodeKey;
}

/** Takes 32 raw bytes as a public key. The bytes are copied. */
export function nodeKey(bytes: Uint8Array): NodeKey {
  if (bytes.length !== keyLength) throw new RangeError(`a public key has ${keyLength} bytes`);
  return Buffer.from(bytes) as NodeKey;
}

/** An all-zero key stands for "no key" everywhere; nobody may own it. */
export function isZeroKey(key: Uint8Array): boolean {
  return key.every((byte) => byte === 0);
}

/** `privkey:` and 64 hex digits; undefined if the text is anything else. */
export function parsePrivateKey(text: string): PrivateKey | undefined {
  return parseHex(text, privatePrefix) as PrivateKey | undefined;
}

export function renderPrivateKey(key: PrivateKey): string {
  return privatePrefix + key.toString("hex");
}

/** `nodekey:` and 64 hex digits; undefined if the text is anything else. */
export function parseNodeKey(text: string): NodeKey | undefined {
  return parseHex(text, publicPrefix) as NodeKey | undefined;
}

export function renderNodeKey(key: NodeKey): string {
  return publicPrefix + key.toString("hex");
}

/** 64 hex digits without a prefix, as in the `Derp-Public-Key` header; undefined if the text is anything else. */
export function parseUntypedKey(text: string): NodeKey | undefined {
  return parseHex(text, "") as NodeKey | undefined;
}

/** The short form for logs: the first five base64 characters, as in `[ST6C/]`. */
export function renderShortKey(key: Uint8Array): string {
  return `[${Buffer.from(key).toString("base64").slice(0, 5)}]`;
}

/**
 * X25519 (RFC 7748).
 *
 * @returns the 32 shared bytes, or undefined for a public key of small order, with which nothing can be kept secret
 */
export function sharedSecret(ours: PrivateKey, theirs: Uint8Array): Buffer | undefined {
  const publicKey = createPublicKey({
    key: Buffer.concat([spkiPrefix, theirs]),
    format: "der",
    type: "spki",
  });
  try {
    return diffieHellman({ privateKey: privateKeyObject(ours), publicKey });
  } catch {
    return undefined; // OpenSSL refuses an all-zero result.
  }
}

/** OpenSSL takes longer to read a key than to use it, and a relay uses its own at each login. */
const keyObjects = new WeakMap<PrivateKey, KeyObject>();

function privateKeyObject(key: PrivateKey): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const object = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, key]), format: "der", type: "pkcs8" });
  keyObjects.set(key, object);
  return object;
}

function parseHex(text: string, prefix: string): Buffer | undefined {
  if (!text.startsWith(prefix)) return undefined;
  const digits = text.slice(prefix.length);
  return /^[0-9a-fA-F]{64}$/.test(digits) ? Buffer.from(digits, "hex") : undefined;
}
