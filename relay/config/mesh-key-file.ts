/** The mesh key on the disk. */
import { join } from "node:path";
import { KitError } from "../errors.ts";
import { readIfThere, readText } from "./files.ts";
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
  if (path !== "") return parse(await readText(path, unreadable), path);
  for (const usual of ["/home/derp/keys/derp-mesh.key", join(home, "keys", "derp-mesh.key")]) {
    const text = await readIfThere(usual, unreadable);
    if (text !== undefined) return parse(text, usual);
  }
  return [];
}

const unreadable = "The mesh key cannot be read.";

function parse(text: string, path: string): readonly string[] {
  const keys = parseMeshKeys(text);
  if (keys === undefined) throw new KitError("mesh-key-invalid", { where: path });
  return keys;
}
