/** How a text is laid out, and how a value is written so that it looks like the rest. Pure. */
import { isObject, type Json, type JwccContainer, type JwccDocument } from "./tree.ts";

export interface Style {
  /** A line's end. */
  readonly eol: "\n" | "\r\n";
  /** What a level is indented by. */
  readonly unit: string;
  /** All of it is on one line. */
  readonly isOneLine: boolean;
  /** What stands between a name's colon and its value, and behind a comma, on one line. */
  readonly gap: "" | " ";
}

/** The layout of a text: that of most of its lines, and of what is in its outermost brackets. */
export function readStyle({ text, root }: JwccDocument): Style {
  const lines = text.split("\n").length - 1;
  const crlf = text.split("\r\n").length - 1;
  const inner = text.slice(root.start, root.end);
  const isEmpty = root.kind === "literal" || root.items.length === 0;
  return {
    eol: crlf * 2 > lines ? "\r\n" : "\n",
    unit: (root.kind === "literal" ? undefined : firstIndent(text, root)) ?? anyIndent(text) ?? "  ",
    isOneLine: !isEmpty && !inner.includes("\n"),
    gap: isEmpty || /":\s/.test(inner) || !/":/.test(inner) ? " " : "",
  };
}

/** What the first of its items that begins a line is indented by. */
export function firstIndent(text: string, { items }: JwccContainer): string | undefined {
  const first = items.find(({ start }) => beginsLine(text, start));
  return first === undefined ? undefined : indentAt(text, first.start);
}

function anyIndent(text: string): string | undefined {
  return /\n([ \t]+)["}\]]/.exec(text)?.[1];
}

/** The white space that the line of an offset begins with. */
export function indentAt(text: string, offset: number): string {
  const begin = lineStart(text, offset);
  let end = begin;
  while (end < offset && isBlank(text, end)) end++;
  return text.slice(begin, end);
}

/** Whether a line before it ends, and only white space is between. A line may be the whole text: none is gone through. */
export function beginsLine(text: string, offset: number): boolean {
  let at = offset;
  while (isBlank(text, at - 1)) at--;
  return text[at - 1] === "\n";
}

export function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
}

/** A space or a tab. */
export function isBlank(text: string, offset: number): boolean {
  const char = text[offset];
  return char === " " || char === "\t";
}

/**
 * Renders a value.
 *
 * @param indent of the line that it begins on; undefined for all of it on that line
 */
export function renderValue(json: Json, style: Style, indent: string | undefined): string {
  if (!Array.isArray(json) && !isObject(json)) return JSON.stringify(json);
  const inner = indent === undefined ? undefined : indent + style.unit;
  const items = Array.isArray(json)
    ? json.map((each) => renderValue(each, style, inner))
    : Object.entries(json).map(([name, each]) => renderMember(name, each, style, inner));
  const [open, close] = Array.isArray(json) ? "[]" : "{}";
  if (items.length === 0) return `${open}${close}`;
  if (indent === undefined) return `${open}${items.join(`,${style.gap}`)}${close}`;
  return `${open}${style.eol}${inner}${items.join(`,${style.eol}${inner}`)}${style.eol}${indent}${close}`;
}

/** A member of an object. @param indent as for `renderValue` */
export function renderMember(name: string, json: Json, style: Style, indent: string | undefined): string {
  const gap = indent === undefined ? style.gap : " ";
  return `${JSON.stringify(name)}:${gap}${renderValue(json, style, indent)}`;
}
