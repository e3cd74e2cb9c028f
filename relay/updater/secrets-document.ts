/**
 * The document by which a node is given its secrets: each in a box that only the node's relay can open, and the whole signed
 * as a manifest is, by the same keys. It lies beside the region's release and is no file of it, for it can only be made once
 * the node has shown its relay's key.
 *
 * `kind` keeps the two apart: what is signed as one is never taken for the other.
 */
import * as v from "valibot";
import { KitError } from "../errors.ts";
import { parseCanonicalJson, renderCanonicalJson } from "./canonical-json.ts";
import { labelSchema, sha256Hex } from "./manifest.ts";

/** The document in the region's delivery, and its signature. */
export const secretsFile = (node: string): string => `secrets/${node}.json`;
export const secretsSignatureFile = (node: string): string => `secrets/${node}.sig`;

/** No document is longer, in bytes: room for some secrets of a few kilobytes. */
export const maxSecretsBytes = 64 * 1024;

/**
 * Of every box (crypto/box.ts). Each box has a key of its own, which seals nothing else, so that no two are ever sealed with
 * the same key and nonce.
 */
export const boxNonce: Uint8Array = new Uint8Array(24);

const text = v.string("has to be text");

const base64 = (pattern: RegExp) => v.pipe(text, v.regex(pattern, "has to be base64"));

const boxSchema = v.object({
  /** The public key of whoever sealed it, 32 bytes. */
  key: base64(/^[A-Za-z0-9+/]{43}=$/),
  /** Tag and ciphertext. */
  box: base64(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/),
});

const documentSchema = v.object({
  format: v.literal(1, "is a format that this updater does not know"),
  kind: v.literal("secrets", "has to be secrets"),
  stack: v.pipe(text, v.nonEmpty("must not be empty"), v.maxLength(200, "has to be at most 200 characters")),
  region: labelSchema,
  node: labelSchema,
  /** The relay's public key. */
  to: v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "has to be 64 hex digits in lower case")),
  sequence: v.pipe(v.number("has to be a number"), v.safeInteger("has to be whole"), v.minValue(1)),
  /** By the credential's name. */
  boxes: v.record(
    v.pipe(text, v.regex(/^[a-z][a-z0-9-]{0,40}$/, "has to be a credential's name")),
    boxSchema,
  ),
});

export type SecretsDocument = v.InferOutput<typeof documentSchema>;
export type SecretBox = v.InferOutput<typeof boxSchema>;

/** The bytes of a document, to be signed and delivered. */
export function encodeSecretsDocument(document: SecretsDocument): Buffer {
  return Buffer.from(renderCanonicalJson(document));
}

/**
 * Reads a document.
 *
 * @throws KitError `secrets-malformed` with each problem
 */
export function decodeSecretsDocument(bytes: Uint8Array): SecretsDocument {
  const value = bytes.length > maxSecretsBytes ? undefined : parseCanonicalJson(bytes);
  if (value === undefined) {
    throw new KitError("secrets-malformed", {
      message: `Sealed secrets are not canonical JSON of at most ${maxSecretsBytes} bytes.`,
    });
  }
  const result = v.safeParse(documentSchema, value);
  if (result.success) return result.output;
  throw new KitError("secrets-malformed", {
    problems: result.issues.map((issue) => ({
      path: v.getDotPath(issue) ?? "document",
      message: issue.message,
    })),
  });
}

/**
 * What a document holds, whatever its sequence: SHA-256 as lower-case hex. A publisher whose content has the digest of what it
 * has published keeps the sequence, and takes the next one otherwise.
 *
 * @throws KitError `secrets-malformed`
 */
export function contentDigest(document: Uint8Array): string {
  const { sequence: _, ...content } = decodeSecretsDocument(document);
  return sha256Hex(Buffer.from(renderCanonicalJson(content)));
}
