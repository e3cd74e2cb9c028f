/** Texts of others, read and written so that no byte of them changes by the way. */
import { isUtf8 } from "node:buffer";
import { readFile, realpath, stat } from "node:fs/promises";
import { isErrno, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";

/**
 * Reads a policy from a file.
 *
 * @throws KitError `file-unreadable`, or `policy-invalid` with the place of a byte that is no UTF-8
 */
export async function readPolicyFile(file: string): Promise<string> {
  try {
    return decodePolicy(await readFile(file), file);
  } catch (cause) {
    throw isErrno(cause) ? new KitError("file-unreadable", { where: file, cause }) : cause;
  }
}

/**
 * Decodes a policy. A byte order mark stays.
 *
 * @param name of the policy, for messages
 * @throws KitError `policy-invalid` with line and column: what is no UTF-8 could not be written back as it was
 */
export function decodePolicy(bytes: Uint8Array, name: string): string {
  if (isUtf8(bytes)) return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const { line, column } = findFault(bytes);
  throw new KitError("policy-invalid", {
    where: `${name}:${line}:${column}`,
    message: "These bytes are no UTF-8.",
    fix: "Save the file as UTF-8.",
  });
}

/**
 * Writes a policy whole, where a link leads, with the mode that the file has, or that new files get.
 *
 * @throws KitError `file-unreadable`
 */
export async function writePolicyFile(file: string, text: string): Promise<void> {
  try {
    const place = await realpath(file).catch(() => file);
    const mode = await stat(place).then(
      (found) => found.mode & 0o777,
      () => 0o644,
    );
    await writeWhole(place, text, mode);
  } catch (cause) {
    throw isErrno(cause) ? new KitError("file-unreadable", { where: file, cause }) : cause;
  }
}

function findFault(bytes: Uint8Array): { readonly line: number; readonly column: number } {
  let [line, begin] = [1, 0];
  for (;;) {
    const end = bytes.indexOf(10, begin);
    const content = bytes.subarray(begin, end === -1 ? bytes.length : end);
    if (!isUtf8(content)) return { line, column: columnOfFault(content) };
    [line, begin] = [line + 1, end + 1];
  }
}

/** Of the first character that does not decode to itself. */
function columnOfFault(content: Uint8Array): number {
  const text = new TextDecoder().decode(content);
  let at = 0;
  for (const [index, char] of Array.from(text).entries()) {
    const encoded = Buffer.from(char);
    if (Buffer.compare(encoded, content.subarray(at, at + encoded.length)) !== 0) return index + 1;
    at += encoded.length;
  }
  return 1;
}
