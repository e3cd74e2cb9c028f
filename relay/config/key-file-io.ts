/** The relay's key file on disk. */
import { parseKeyFile, renderKeyFile } from "../crypto/key-file.ts";
import { generatePrivateKey, type PrivateKey } from "../crypto/keys.ts";
import { readOrMake } from "./files.ts";

/**
 * Reads the relay's private key, or makes the file, with its parent folders, when there is none.
 *
 * The file appears whole or not at all, with mode 0600. If another process makes it at the same moment, its key is the
 * one that both use.
 *
 * @throws KitError `key-file-invalid` for a file in another format, `file-unreadable` if it cannot be read or made
 */
export async function loadOrCreateKeyFile(path: string): Promise<PrivateKey> {
  const text = await readOrMake(path, makeKeyFile, "The key file cannot be read or made.");
  return parseKeyFile(text, path);
}

function makeKeyFile(): string {
  return renderKeyFile(generatePrivateKey());
}
