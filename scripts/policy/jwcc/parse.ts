/** Parses JWCC into a tree of places. Pure. */
import type { JwccDocument, JwccItem, JwccLiteral, JwccValue } from "./tree.ts";

/** A policy is some five deep. What is deeper than this would exhaust the stack of whoever reads it. */
const maxDepth = 500;

/** The text is no JWCC. */
export class JwccError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "JwccError";
    this.offset = offset;
  }
}

/**
 * Parses a text.
 *
 * @throws JwccError with the place of the first fault
 */
export function parseJwcc(text: string): JwccDocument {
  const parser = new Parser(text);
  return { text, root: parser.document() };
}

/** Where white space and comments from an offset on end. @throws JwccError for a comment without an end */
function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    const char = text.charCodeAt(at);
    if (char === space || char === tab || char === newline || char === carriageReturn) at++;
    else if (char === slash && text.charCodeAt(at + 1) === slash) at = endOfLineComment(text, at);
    else if (char === slash && text.charCodeAt(at + 1) === star) at = endOfBlockComment(text, at);
    else return at;
  }
}

/** Where a `//` comment ends: behind its line. */
function endOfLineComment(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end === -1 ? text.length : end + 1;
}

/** @throws JwccError */
export function endOfBlockComment(text: string, start: number): number {
  const end = text.indexOf("*/", start + 2);
  if (end === -1) throw new JwccError("this comment has no end", start);
  return end + 2;
}

const [tab, newline, carriageReturn, space, slash, star] = [9, 10, 13, 32, 47, 42];
const [quote, backslash, commaCode, colon] = [34, 92, 44, 58];
const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93];

const word = /[-+.0-9A-Za-z]+/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y;
const literal = /^(?:null|true|false|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)$/;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JwccValue {
    if (this.#text.startsWith("\uFEFF")) {
      throw new JwccError("a byte order mark is no part of JSON; save the file without one", 0);
    }
    this.#skip();
    const root = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) this.#fail("nothing but comments may follow the value");
    return root;
  }

  #value(): JwccValue {
    const char = this.#char();
    if (char === openBrace) return this.#container("object", closeBrace);
    if (char === openBracket) return this.#container("array", closeBracket);
    return char === quote ? this.#string() : this.#word();
  }

  #container(kind: "object" | "array", close: number): JwccValue {
    if (++this.#depth > maxDepth) this.#fail(`there are more than ${maxDepth} brackets within each other`);
    const start = this.#at++;
    const items: JwccItem[] = [];
    this.#skip();
    while (this.#char() !== close) {
      items.push(this.#item(kind));
      this.#skip();
    }
    this.#depth--;
    return { kind, start, end: ++this.#at, items };
  }

  /** An item, and the comma behind it. */
  #item(kind: "object" | "array"): JwccItem {
    const start = this.#at;
    const name = kind === "object" ? this.#name() : "";
    const value = this.#value();
    this.#skip();
    const comma = this.#char() === commaCode ? this.#at++ : undefined;
    const close = kind === "object" ? closeBrace : closeBracket;
    if (comma === undefined && this.#char() !== close) {
      this.#fail(`a comma or ${kind === "object" ? "}" : "]"} is missing`);
    }
    return { name, start, end: value.end, value, comma };
  }

  /** A member's name, decoded, and the colon behind it. */
  #name(): string {
    if (this.#char() !== quote) this.#fail("the name of a member, in double quotes, is missing");
    const { start, end } = this.#string();
    const written = this.#text.slice(start + 1, end - 1);
    this.#skip();
    if (this.#char() !== colon) this.#fail("the colon behind a member's name is missing");
    this.#at++;
    this.#skip();
    return written.includes("\\") ? String(JSON.parse(`"${written}"`)) : written;
  }

  #string(): JwccLiteral {
    const start = this.#at++;
    for (;;) {
      const char = this.#char();
      if (char === quote) return { kind: "literal", start, end: ++this.#at };
      if (char === backslash) {
        escape.lastIndex = this.#at;
        if (!escape.test(this.#text)) this.#fail("JSON has no such escape");
        this.#at = escape.lastIndex;
      } else if (Number.isNaN(char)) {
        throw new JwccError("this text has no end", start);
      } else if (char < space) {
        this.#fail("a control character, a line's end for example, has to be escaped in text");
      } else {
        this.#at++;
      }
    }
  }

  #word(): JwccLiteral {
    const start = this.#at;
    word.lastIndex = start;
    const [found = ""] = word.exec(this.#text) ?? [];
    if (!literal.test(found)) this.#fail(found === "" ? "a value is missing" : "this is no value of JSON");
    this.#at += found.length;
    return { kind: "literal", start, end: this.#at };
  }

  /** NaN at the end of the text. */
  #char(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #skip(): void {
    this.#at = skipBlank(this.#text, this.#at);
  }

  #fail(message: string): never {
    throw new JwccError(
      this.#at >= this.#text.length ? `the text ends too early: ${message}` : message,
      this.#at,
    );
  }
}
