/** The mesh key on the disk. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KitError } from "../errors.ts";
import { parseMeshKeys } from "./mesh.ts";

/**
 * Reads the mesh keys: 64 hex digits each, the one to show first.
 *
 * @param path absolute, or empty for derper's usual places, where a file may be missing
 * @param home the user's home folder
 * @returns no key if there is no file in the usual places
 * @throws KitError `mesh-key-invalid` or `file-unreadable`; no message holds a key
 */
export async function loadMeshKeys(path: string, home: string): Promise<readonly string[]> {
  if (path !== "") return readMeshKeys(path);
  for (const usual of ["/home/derp/keys/derp-mesh.key", join(home, "keys", "derp-mesh.key")]) {
    const keys = await readMeshKeys(usual, true);
    if (keys.length > 0) return keys;
  }
  return [];
}

async function readMeshKeys(path: string, mayBeMissing = false): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (mayBeMissing && (cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new KitError("file-unreadable", { where: path, message: "The mesh key cannot be read.", cause });
  }
  const keys = parseMeshKeys(text);
  if (keys === undefined) throw new KitError("mesh-key-invalid", { where: path });
  return keys;
}
