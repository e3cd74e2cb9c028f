/**
 * NaCl `crypto_box` (Curve25519, XSalsa20, Poly1305), as Go's `nacl/box` and tweetnacl do it: the tag comes first.
 *
 * X25519 is OpenSSL's, several times faster than any JavaScript; HSalsa20 and XSalsa20-Poly1305 are @noble/ciphers'.
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { type PrivateKey, sharedSecret } from "./keys.ts";

const sigma = new Uint32Array(new Uint8Array(Buffer.from("expand 32-byte k")).buffer);
const zeroNonce = new Uint32Array(4);

/**
 * Seals a message from the owner of `ours` to the owner of `theirs`.
 *
 * @param nonce 24 bytes, never used twice between the same two keys
 * @returns tag (16) and ciphertext, or undefined if `theirs` is no usable public key
 */
export function sealBox(
  plaintext: Uint8Array,
  nonce: Uint8Array,
  theirs: Uint8Array,
  ours: PrivateKey,
): Buffer | undefined {
  const key = boxKey(ours, theirs);
  return key === undefined ? undefined : Buffer.from(xsalsa20poly1305(key, nonce).encrypt(plaintext));
}

/** Opens a box; undefined if it was not sealed by `theirs` to us, or was changed on the way. */
export function openBox(
  box: Uint8Array,
  nonce: Uint8Array,
  theirs: Uint8Array,
  ours: PrivateKey,
): Buffer | undefined {
  const key = boxKey(ours, theirs);
  if (key === undefined) return undefined;
  try {
    return Buffer.from(xsalsa20poly1305(key, nonce).decrypt(box));
  } catch {
    return undefined;
  }
}

/** The symmetric key of a pair of owners: HSalsa20 over their shared point, with a zero nonce. */
function boxKey(ours: PrivateKey, theirs: Uint8Array): Uint8Array | undefined {
  const shared = sharedSecret(ours, theirs);
  if (shared === undefined) return undefined;
  const words = new Uint32Array(new Uint8Array(shared).buffer);
  const key = new Uint32Array(8);
  hsalsa(sigma, words, zeroNonce, key);
  return new Uint8Array(key.buffer);
}
