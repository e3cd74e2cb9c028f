/**
 * The sealed secrets that a node has accepted, on its volume as they came: a relay starts with them while the delivery is
 * down, and a machine that is built anew takes none that are older. One file, so that both parts are replaced at once: the
 * signature's line, then the document.
 */
import { readFile } from "node:fs/promises";
import { isErrno, writeWhole } from "../config/files.ts";
import { KitError } from "../errors.ts";
import { decodeSecretsDocument } from "../updater/secrets-document.ts";
import type { SealedSecrets } from "./sealed-secrets.ts";

/**
 * Reads them; undefined if there are none.
 *
 * @throws KitError `updater-state-invalid` if the file is damaged: to begin anew would let old secrets in; `file-unreadable`
 */
export async function readKeptSecrets(file: string): Promise<SealedSecrets | undefined> {
  const bytes = await onDisk(file, () => readFile(file)).catch((error: unknown) => {
    if (error instanceof KitError && isErrno(error.cause, "ENOENT")) return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf("\n") + 1;
  const kept = { signature: bytes.subarray(0, end), document: bytes.subarray(end) };
  try {
    decodeSecretsDocument(kept.document);
  } catch (cause) {
    throw new KitError("updater-state-invalid", { where: file, cause });
  }
  return kept;
}

/** @throws KitError `file-unreadable`, on a full disk for example */
export async function keepSecrets(file: string, { signature, document }: SealedSecrets): Promise<void> {
  await onDisk(file, () => writeWhole(file, Buffer.concat([signature, document]), 0o600));
}

async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isErrno(cause)) throw cause;
    const message = "The accepted secrets cannot be read or written.";
    throw new KitError("file-unreadable", { where, message, cause });
  }
}
