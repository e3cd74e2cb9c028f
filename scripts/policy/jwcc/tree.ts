/**
 * JWCC, which Tailscale calls HuJSON: JSON with `//` and block comments and with commas after the last item. Here it is a
 * tree of places in a text, so that a text can be edited without being written anew. Pure.
 *
 * Places are offsets into the text in UTF-16 units; an end is that of the first unit behind.
 */

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Text, a number, true, false or null. */
export interface JwccLiteral extends Span {
  readonly kind: "literal";
}

/** An object or a list, from its opening bracket to its closing one. */
export interface JwccContainer extends Span {
  readonly kind: "object" | "array";
  readonly items: readonly JwccItem[];
}

export type JwccValue = JwccLiteral | JwccContainer;

/** A member of an object or an element of a list, from its name or value to the end of its value. */
export interface JwccItem extends Span {
  /** Decoded; empty for an element. */
  readonly name: string;
  readonly value: JwccValue;
  /** Where the comma behind it is; the last item may have none. */
  readonly comma: number | undefined;
}

export interface JwccDocument {
  readonly text: string;
  readonly root: JwccValue;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What a value says, without the comments in it. Of two members of one name the last counts. */
export function toJson(text: string, value: JwccValue): Json {
  if (value.kind === "literal") return JSON.parse(text.slice(value.start, value.end)) as Json;
  if (value.kind === "array") return value.items.map((item) => toJson(text, item.value));
  return Object.fromEntries(value.items.map((item) => [item.name, toJson(text, item.value)]));
}

export function isObject(json: Json | undefined): json is { readonly [name: string]: Json } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** Whether two values say the same; the order of members does not matter. */
export function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => isSame(each, other[index]));
  }
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  );
}

/** As Go's JSON compares names of members: without regard to case, the long s and the Kelvin sign included. */
export function foldName(name: string): string {
  return name.replaceAll("\u017F", "s").toLowerCase();
}

/** Line and column, from 1; a column is a UTF-16 unit. */
export function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  let line = 1;
  let begin = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", begin)) {
    line++;
    begin = at + 1;
  }
  return { line, column: offset - begin + 1 };
}
