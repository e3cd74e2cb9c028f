/** One text for one value, so that equal content gives equal bytes, and with them equal digests and signatures. */

/**
 * Renders a JSON value: members sorted by name in code unit order at every level, two spaces of indentation, a final
 * newline. Indented because people read and compare these files, and because a shell can pick out a line.
 */
export function renderCanonicalJson(value: unknown): string {
  return `${render(value, "\n")}\n`;
}

/** Reads canonical JSON; undefined if the bytes are anything else. Whoever reads them with another parser sees the same. */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return renderCanonicalJson(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param newline a line break with the indentation of the line that `value` is on
 */
function render(value: unknown, newline: string): string {
  const inner = `${newline}  `;
  if (Array.isArray(value)) {
    return enclose(
      "[",
      "]",
      newline,
      value.map((item) => inner + render(item, inner)),
    );
  }
  if (typeof value === "object" && value !== null) {
    // JSON.stringify alone would put names that look like an index first, whatever the order they were added in.
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${inner}${JSON.stringify(name)}: ${render(member, inner)}`);
    return enclose("{", "}", newline, members);
  }
  return JSON.stringify(value);
}

function enclose(open: string, close: string, newline: string, items: readonly string[]): string {
  return items.length === 0 ? open + close : `${open}${items.join(",")}${newline}${close}`;
}
