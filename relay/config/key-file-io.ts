/** The relay's key file on disk. */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { parseKeyFile, renderKeyFile } from "../crypto/key-file.ts";
import { generatePrivateKey, type PrivateKey } from "../crypto/keys.ts";
import { KitError } from "../errors.ts";

/**
 * Reads the relay's private key, or makes the file, with its parent folders, when there is none.
 *
 * The file appears whole or not at all, with mode 0600. If another process makes it at the same moment, its key is the
 * one that both use.
 *
 * @throws KitError `key-file-invalid` for a file in another format, `file-unreadable` if it cannot be read or made
 */
export async function loadOrCreateKeyFile(path: string): Promise<PrivateKey> {
  try {
    const existing = await readExisting(path);
    if (existing !== undefined) return parseKeyFile(existing, path);
    await create(path, renderKeyFile(generatePrivateKey()));
    return parseKeyFile(await readFile(path, "utf8"), path);
  } catch (cause) {
    if (cause instanceof KitError) throw cause;
    throw new KitError("file-unreadable", {
      message: "The key file cannot be read or made.",
      where: path,
      cause,
    });
  }
}

async function readExisting(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Makes the file unless there is one. A link, other than a rename, never replaces what is there. */
async function create(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeDurably(temporary, text);
    await link(temporary, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(text);
  await file.sync();
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
