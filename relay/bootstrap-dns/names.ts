/** The names that `-bootstrap-dns-names` and `-unpublished-bootstrap-dns-names` give. */

export interface NameEntry {
  readonly name: string;
  /** Name of the TXT record that holds the roll-out percentage; undefined if everybody gets the addresses. */
  readonly rolloutName: string | undefined;
}

/**
 * Parses a comma list of `name` or `name/txt-name`, as derper does: nothing is trimmed and nothing refused. An entry
 * that cannot name anything, such as the empty one of a trailing comma, fails when it is looked up.
 */
export function parseNames(text: string): readonly NameEntry[] {
  if (text === "") return [];
  return text.split(",").map((entry) => {
    const [name = ""] = entry.split("/", 1);
    return { name, rolloutName: entry.slice(name.length + 1) || undefined };
  });
}

/**
 * Whether DNS can be asked for a name, by the rule of Go's resolver: labels of letters, digits, `-` and `_`, and not
 * digits alone, as an IP address would be.
 */
export function isDomainName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const labels = name.split(".");
  return name.length <= 253 && labels.every((label) => labelPattern.test(label)) && /[a-z_-]/i.test(name);
}

const labelPattern = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;
