/** The key that signs a local stack's manifests. It stays on this machine and is never shown. */
import { createPublicKey, type KeyObject } from "node:crypto";
import path from "node:path";
import { localFolder } from "../../infra/clouds/local-files.ts";
import { makeSigningKey, parseSigningKey } from "../../infra/delivery/signing-key.ts";
import { readOrMake } from "../../relay/config/files.ts";

/** Where the signing key of a stack is. */
export function signingKeyFile(root: string, stack: string): string {
  return path.join(localFolder(root), stack, "signing.key");
}

/**
 * Reads a signing key, or makes it if there is none: Ed25519, PKCS#8 in PEM, for the owner's eyes only.
 *
 * @throws KitError `signing-key-invalid`, `file-unreadable`
 */
export async function loadSigningKey(file: string): Promise<KeyObject> {
  return parseSigningKey(await readOrMake(file, makePem), file);
}

/** The public half of a signing key as nodes are given it: SubjectPublicKeyInfo in PEM. */
export function trustedKeyOf(signingKey: KeyObject): string {
  return createPublicKey(signingKey).export({ type: "spki", format: "pem" }).toString();
}

function makePem(): string {
  return makeSigningKey().export({ type: "pkcs8", format: "pem" }).toString();
}
