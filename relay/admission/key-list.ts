/** The allow-list file: one key on each line, `nodekey:` or nothing before its 64 hex digits, and `#` comments. */
import { parseNodeKey, parseUntypedKey } from "../crypto/keys.ts";

/** Says that the list is empty on purpose. */
const nobody = /^[ \t]*#[ \t]*nobody[ \t\r]*$/m;

export type KeyList =
  /** The keys as lower-case hex. */
  | { readonly keys: ReadonlySet<string> }
  /** Why the text says nothing about anybody. */
  | { readonly trouble: string };

/**
 * Parses a list, whole or not at all: a part of a list would deny everybody on the other part.
 *
 * The last line has to end with a newline, which a list that is still being written mostly lacks. An empty list counts
 * as an accident unless a line says `# nobody`.
 */
export function parseKeyList(text: string): KeyList {
  if (text !== "" && !text.endsWith("\n")) return { trouble: "its last line has no end" };
  const keys = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    const [entry = ""] = line.split("#");
    const word = entry.trim();
    if (word === "") continue;
    const key = parseNodeKey(word) ?? parseUntypedKey(word);
    if (key === undefined) return { trouble: `line ${index + 1} is no key` };
    keys.add(key.toString("hex"));
  }
  return keys.size > 0 || nobody.test(text)
    ? { keys }
    : { trouble: 'it is empty and does not say "# nobody"' };
}
