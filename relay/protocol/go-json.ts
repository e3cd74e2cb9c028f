/**
 * JSON objects as Go's `encoding/json` decodes them into a struct: that is what decides whether derper takes a document.
 *
 * `JSON.parse` hides what Go looks at: how a number is written, and names that come twice. It would also build an object
 * out of whatever names a stranger thinks of. This reader keeps only the fields that are asked for. Its time grows with
 * the length of the text and with nothing else, and it does not recurse.
 */

/**
 * Reads a field's value.
 *
 * @param literal valid JSON as it is written, with a character from U+0000 to U+00FF for each byte
 * @returns undefined if the type is wrong, null if the value leaves the field as it was
 */
export type FieldReader<T> = (literal: string) => T | null | undefined;

/** By the names of the fields, in any case. */
export type FieldReaders<T> = { readonly [Name in keyof T]-?: FieldReader<Exclude<T[Name], undefined>> };

/** @returns the fields that the document gives; undefined if Go would report an error */
export type StructReader<T> = (json: Uint8Array) => Partial<T> | undefined;

export interface StructOptions {
  /** Only the first value is read, whatever follows it: Go's `json.Decoder` in the place of `json.Unmarshal`. */
  readonly firstOnly?: boolean;
}

/**
 * Builds the reader of a struct, by Go's rules: names match by Unicode's simple case folding, and unknown ones are passed
 * over. Of a name that comes several times every value is checked, and the last counts. The document `null` gives no
 * field. Nesting beyond 10,000 is an error, and so is anything but white space after the document.
 */
export function buildStructReader<T extends object>(
  readers: FieldReaders<T>,
  { firstOnly = false }: StructOptions = {},
): StructReader<T> {
  const nameOf = buildNameMatcher(Object.keys(readers) as (keyof T & string)[]);
  return (json) => {
    const fields: Partial<T> = {};
    let fits = true;
    const cursor = new Cursor(json);
    const first = cursor.skipValue((nameLiteral, literal) => {
      const name = nameOf(nameLiteral);
      const value = name === undefined ? null : readers[name](literal);
      if (value === undefined) fits = false;
      else if (name !== undefined && value !== null) fields[name] = value;
    });
    fits &&= (first === "{" || first === "n") && (firstOnly || cursor.atEnd);
    return fits ? fields : undefined;
  };
}

/** A Go `int`: 64 bits, written with neither point nor exponent. Beyond 2^53 the number is rounded. */
export const int: FieldReader<number> = orNull((literal) => {
  if (!/^-?\d{1,19}$/.test(literal)) return undefined;
  const value = BigInt(literal);
  return BigInt.asIntN(64, value) === value ? Number(value) : undefined;
});

/** A Go `bool`. */
export const bool: FieldReader<boolean> = orNull((literal) =>
  literal === "true" || literal === "false" ? literal === "true" : undefined,
);

/** A Go `string`. U+FFFD stands for each byte that is not UTF-8, and for half a surrogate pair. */
export const string: FieldReader<string> = orNull((literal) =>
  literal.startsWith('"') ? readText(literal) : undefined,
);

/** `null` is of every basic type, and says nothing. */
function orNull<T>(read: FieldReader<T>): FieldReader<T> {
  return (literal) => (literal === "null" ? null : read(literal));
}

/** @returns which of the names a literal is, if any */
function buildNameMatcher<Name extends string>(
  names: readonly Name[],
): (literal: string) => Name | undefined {
  // Simple case folding: s is also U+017F and k also U+212A, while the dotless i is no i.
  const patterns = names.map((name) => ({ name, pattern: new RegExp(`^${name}$`, "iu") }));
  const lengths = names.map(({ length }) => length);
  const shortest = Math.min(...lengths) + '""'.length;
  const longest = Math.max(...lengths) * String.raw`\u0000`.length + '""'.length;
  return (literal) => {
    if (literal.length < shortest || literal.length > longest) return undefined;
    const text = readText(literal);
    return patterns.find(({ pattern }) => pattern.test(text))?.name;
  };
}

/** A character of several bytes (RFC 3629, section 4), or a byte that is part of none. */
const beyondAscii =
  /[\xc2-\xdf][\x80-\xbf]|(?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f])[\x80-\xbf]|(?:\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]{2}|[\x80-\xff]/g;

/** Reads the literal of a string. */
function readText(literal: string): string {
  if (!/[\\\x80-\xff]/.test(literal)) return literal.slice(1, -1);
  const decoded = literal.replaceAll(beyondAscii, (bytes) =>
    bytes.length === 1 ? "\uFFFD" : Buffer.from(bytes, "latin1").toString("utf8"),
  );
  return (JSON.parse(decoded) as string).toWellFormed();
}

const maxDepth = 10_000;
const closings: Readonly<Record<string, string>> = { "{": "}", "[": "]" };
const space = /[ \t\r\n]*/y;
/** Values in which there is no other one, but for strings. */
const leaf = /null|true|false|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|\{[ \t\r\n]*\}|\[[ \t\r\n]*\]/y;
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

/** A place in a text that is to be JSON (RFC 8259). */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(json: Uint8Array) {
    this.#text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("latin1");
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /**
   * Passes over a value and the white space around it.
   *
   * @param show is shown each member of the value, if that is an object: the literals of its name and value
   * @returns the value's first character; undefined if there is no value
   */
  skipValue(show: (nameLiteral: string, literal: string) => void): string | undefined {
    /** What closes each array and object that the cursor is in. */
    const open: string[] = [];
    /** The outermost object's member that the cursor is in: its name, and where its value begins. */
    let name: string | undefined;
    let valueAt = 0;
    const ended = (): void => {
      if (open.length === 1 && name !== undefined) show(name, this.#text.slice(valueAt, this.#at));
    };
    this.#skip(space);
    const first = this.#text[this.#at];
    for (;;) {
      const closing = closings[this.#text[this.#at] ?? ""];
      if (closing !== undefined && open.length === maxDepth) return undefined;
      if (this.#skip(leaf) || this.#skipString()) {
        this.#skipEnds(open, ended);
        if (open.length === 0) return first;
        if (!this.#skipCharacter(",")) return undefined;
      } else {
        if (closing === undefined) return undefined;
        this.#at++;
        open.push(closing);
      }
      this.#skip(space);
      if (open.at(-1) !== "}") continue;
      const literal = this.#readName();
      if (literal === undefined) return undefined;
      if (open.length === 1) [name, valueAt] = [literal, this.#at];
    }
  }

  /** A value has ended, and with it perhaps what it is the last in. */
  #skipEnds(open: string[], ended: () => void): void {
    for (;;) {
      ended();
      this.#skip(space);
      const last = open.at(-1);
      if (last === undefined || !this.#skipCharacter(last)) return;
      open.pop();
    }
  }

  /** @returns the name's literal, with the cursor at the value; undefined if there is no name */
  #readName(): string | undefined {
    const begin = this.#at;
    if (!this.#skipString()) return undefined;
    const literal = this.#text.slice(begin, this.#at);
    this.#skip(space);
    if (!this.#skipCharacter(":")) return undefined;
    this.#skip(space);
    return literal;
  }

  #skipString(): boolean {
    if (this.#text[this.#at] !== '"') return false;
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const character = this.#text[at] as string;
      if (character < " ") return false;
      if (character === '"') {
        this.#at = at + 1;
        return true;
      }
      if (character !== "\\") continue;
      escape.lastIndex = at;
      if (!escape.test(this.#text)) return false;
      at = escape.lastIndex - 1;
    }
    return false;
  }

  #skipCharacter(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }
}
