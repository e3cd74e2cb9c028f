/**
 * Public keys as configurations, manifests and the updater's memory have them: Ed25519, SubjectPublicKeyInfo (RFC 8410)
 * in base64 on one line, which between two lines of PEM is what openssl reads.
 */
import { createPublicKey, type KeyObject } from "node:crypto";

/** Two, so that keys can be changed: nodes trust the next one before it signs. */
export const maxTrustedKeys = 2;

/** True for an Ed25519 public key: twelve bytes that are always the same, then the key. */
export function isPublicKey(text: string): boolean {
  return /^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text);
}

/** The text of a key's public half. */
export function encodePublicKey(key: KeyObject): string {
  const half = key.type === "public" ? key : createPublicKey(key);
  return half.export({ type: "spki", format: "der" }).toString("base64");
}

/** Reads what `isPublicKey` takes. */
export function decodePublicKey(text: string): KeyObject {
  return createPublicKey({ key: Buffer.from(text, "base64"), type: "spki", format: "der" });
}

/** The key as PEM; `text` is what `isPublicKey` takes. */
export function renderPublicPem(text: string): string {
  return `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`;
}
