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
 * What two owners of keys can say to each other. Its making is the costly part, so that who both opens and seals, as a relay
 * does at a login, makes one.
 */
export class Box {
  readonly #key: Uint8Array;

  private constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** @returns undefined if `theirs` is no usable public key */
  static between(ours: PrivateKey, theirs: Uint8Array): Box | undefined {
    const shared = sharedSecret(ours, theirs);
    if (shared === undefined) return undefined;
    const words = new Uint32Array(new Uint8Array(shared).buffer);
    const key = new Uint32Array(8);
    hsalsa(sigma, words, zeroNonce, key);
    return new Box(new Uint8Array(key.buffer));
  }

  /**
   * Seals a message.
   *
   * @param nonce 24 bytes, never used twice between the same two keys
   * @returns tag (16) and ciphertext
   */
  seal(plaintext: Uint8Array, nonce: Uint8Array): Buffer {
    return Buffer.from(xsalsa20poly1305(this.#key, nonce).encrypt(plaintext));
  }

  /** Opens a message; undefined if the other owner did not seal it, or it was changed on the way. */
  open(sealed: Uint8Array, nonce: Uint8Array): Buffer | undefined {
    try {
      return Buffer.from(xsalsa20poly1305(this.#key, nonce).decrypt(sealed));
    } catch {
      return undefined;
    }
  }
}
