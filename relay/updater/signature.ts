/**
 * Signatures of manifests: Ed25519 (RFC 8032) over the very bytes of manifest.json. manifest.sig holds the signature's
 * 64 bytes in base64 and a newline, so that a shell can check it too:
 *
 *     base64 -d manifest.sig > signature
 *     openssl pkeyutl -verify -pubin -inkey trusted.pem -rawin -in manifest.json -sigfile signature
 *
 * Keys are written as PEM, the public ones as SubjectPublicKeyInfo (RFC 8410), because openssl and Node.js both read
 * that as it is: nobody has to put a DER header before raw bytes.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { KitError } from "../errors.ts";
import { maxTrustedKeys } from "./public-key.ts";

/** A signature file is 89 bytes long; no more than this is ever read. */
export const maxSignatureBytes = 128;

/** Signs a manifest's bytes, or those of another document of ours; gives the bytes of manifest.sig. */
export function signManifest(manifest: Uint8Array, key: KeyObject): Buffer {
  return Buffer.from(`${sign(null, manifest, key).toString("base64")}\n`);
}

/**
 * Checks manifest.sig before anything in the manifest is read.
 *
 * @returns the key that made the signature
 * @throws KitError `manifest-signature` unless one of the keys made the signature over exactly these bytes
 */
export function verifyManifest(
  manifest: Uint8Array,
  signatureFile: Uint8Array,
  trustedKeys: readonly KeyObject[],
): KeyObject {
  if (decodeSignature(signatureFile) === undefined) {
    throw new KitError("manifest-signature", { message: "manifest.sig holds no signature." });
  }
  const signer = findSigner(manifest, signatureFile, trustedKeys);
  if (signer === undefined) throw new KitError("manifest-signature");
  return signer;
}

/** Which of the keys made the signature over exactly these bytes; undefined if none did. */
export function findSigner(
  document: Uint8Array,
  signatureFile: Uint8Array,
  trustedKeys: readonly KeyObject[],
): KeyObject | undefined {
  const signature = decodeSignature(signatureFile);
  if (signature === undefined) return undefined;
  return trustedKeys.find((key) => verify(null, document, key, signature));
}

/**
 * Reads the keys that a node trusts.
 *
 * @param pems one or two public keys as SubjectPublicKeyInfo in PEM
 * @throws KitError `signing-key-invalid`
 */
export function parseTrustedKeys(pems: readonly string[]): KeyObject[] {
  if (pems.length < 1 || pems.length > maxTrustedKeys) {
    throw new KitError("signing-key-invalid", {
      message: `A node trusts one or two keys, not ${pems.length}.`,
    });
  }
  return pems.map(parseTrustedKey);
}

function parseTrustedKey(pem: string): KeyObject {
  // createPublicKey would also take a private key, which has no place on a node.
  if (pem.startsWith("-----BEGIN PUBLIC KEY-----\n")) {
    try {
      const key = createPublicKey(pem);
      if (key.asymmetricKeyType === "ed25519") return key;
    } catch {
      // Said below, without the text.
    }
  }
  throw new KitError("signing-key-invalid", {
    message: "A trusted key is not an Ed25519 public key in PEM.",
  });
}

/** Strict, where Buffer would pass over what is not base64. */
function decodeSignature(file: Uint8Array): Uint8Array | undefined {
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString("latin1");
  return /^[A-Za-z0-9+/]{86}==\n$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
