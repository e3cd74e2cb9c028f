/** The mesh key on the disk. */
import { access } from "node:fs/promises";
import { KitError } from "../errors.ts";
import { readText } from "./files.ts";
import { parseMeshKeys } from "./mesh.ts";

/**
 * Reads the mesh keys: 64 hex digits each, the one to show first.
 *
 * @throws KitError `mesh-key-invalid` or `file-unreadable`; no message holds a key
 */
export async function loadMeshKeys(path: string): Promise<readonly string[]> {
  const keys = parseMeshKeys(await readText(path, "The mesh key cannot be read."));
  if (keys === undefined) throw new KitError("mesh-key-invalid", { where: path });
  return keys;
}

/** The first of several files that there is, as far as this user may see; undefined if there is none. */
export async function findMeshKeyFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
