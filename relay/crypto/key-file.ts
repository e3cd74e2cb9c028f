/** derper's key file: one JSON object with the relay's private key. */
import { KitError } from "../errors.ts";
import { type PrivateKey, parsePrivateKey, renderPrivateKey } from "./keys.ts";

/**
 * Reads the file's text as Go does: names in any case, unknown ones ignored.
 *
 * @param path for the message
 * @throws KitError `key-file-invalid`; it says nothing of the content
 */
export function parseKeyFile(text: string, path: string): PrivateKey {
  const key = findKey(parseJson(text));
  if (key === undefined) throw new KitError("key-file-invalid", { where: path });
  return key;
}

/** Renders the file exactly as derper writes it: indented by a tab, without a newline at the end. */
export function renderKeyFile(key: PrivateKey): string {
  return JSON.stringify({ PrivateKey: renderPrivateKey(key) }, null, "\t");
}

function findKey(document: unknown): PrivateKey | undefined {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return undefined;
  const entry = Object.entries(document).findLast(([name]) => name.toLowerCase() === "privatekey");
  return typeof entry?.[1] === "string" ? parsePrivateKey(entry[1]) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
