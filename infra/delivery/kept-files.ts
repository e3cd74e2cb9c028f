/** Files that the engine is to upload: it reads them from a disk. Each has its content's digest for a name. */
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { isErrno, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { sha256Hex } from "../../relay/updater/manifest.ts";

/**
 * Writes files to a folder of their own, and removes what else is in it.
 *
 * @returns the path of each, in their order
 * @throws KitError `file-unreadable`
 */
export async function keepFiles(folder: string, files: readonly Uint8Array[]): Promise<string[]> {
  const names = files.map(sha256Hex);
  try {
    await mkdir(folder, { recursive: true });
    const present = await readdir(folder);
    for (const [index, bytes] of files.entries()) {
      const name = names[index] ?? "";
      if (!present.includes(name)) await writeWhole(path.join(folder, name), bytes, 0o644);
    }
    for (const name of present.filter((each) => !names.includes(each))) await rm(path.join(folder, name));
  } catch (cause) {
    if (isErrno(cause)) throw new KitError("file-unreadable", { where: folder, cause });
    throw cause;
  }
  return names.map((name) => path.join(folder, name));
}
