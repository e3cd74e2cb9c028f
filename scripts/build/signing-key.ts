/** The key that signs a local stack's manifests. It stays on this machine and is never shown. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { isErrno, localFolder } from "../../infra/clouds/local-files.ts";
import { KitError } from "../../relay/errors.ts";

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
  try {
    return parseSigningKey(await readOrMake(file), file);
  } catch (cause) {
    if (isErrno(cause)) throw new KitError("file-unreadable", { where: file, cause });
    throw cause;
  }
}

/** The public half of a signing key as nodes are given it: SubjectPublicKeyInfo in PEM. */
export function trustedKeyOf(signingKey: KeyObject): string {
  return createPublicKey(signingKey).export({ type: "spki", format: "pem" }).toString();
}

function parseSigningKey(pem: string, file: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Said below; the cause might quote the file.
  }
  throw new KitError("signing-key-invalid", { where: file });
}

async function readOrMake(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  await makeOnce(
    file,
    generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  return readFile(file, "utf8");
}

/** Of two programs that get here at once, the first to link its file wins and both use that key. */
async function makeOnce(file: string, pem: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  await mkdir(path.dirname(file), { recursive: true });
  try {
    await writeFile(draft, pem, { mode: 0o600, flush: true });
    await link(draft, file);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    await rm(draft, { force: true });
  }
}
