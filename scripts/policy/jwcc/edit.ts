/**
 * Edits of a JWCC text. Whatever is not inside an edited value stays as it was: comments, order, white space, the ends of
 * lines, commas behind the last item. Of a removed item its own bytes go, the comma that belongs to it and the line that it
 * leaves empty; comments around it stay, for nobody knows whose they are. Pure.
 */
import { endOfBlockComment } from "./parse.ts";
import {
  beginsLine,
  firstIndent,
  indentAt,
  isBlank,
  lineStart,
  renderMember,
  renderValue,
  type Style,
} from "./style.ts";
import {
  foldName,
  isObject,
  isSame,
  type Json,
  type JwccContainer,
  type JwccDocument,
  type JwccItem,
  type JwccValue,
  type Span,
  toJson,
} from "./tree.ts";

/** Puts a text in the place of a span. */
export interface Edit extends Span {
  readonly text: string;
}

export interface Insertion {
  /** The index of the item that it comes behind; -1 for the beginning. */
  readonly after: number;
  /** Undefined for an element of a list. */
  readonly name: string | undefined;
  readonly json: Json;
}

export interface ContainerChange {
  /** Indices of items. */
  readonly removed: ReadonlySet<number>;
  /** In the order in which they will stand. */
  readonly inserted: readonly Insertion[];
}

/** Applies edits. Insertions at one place keep their order; what is removed twice is removed once. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const ordered = edits.toSorted((one, other) => one.start - other.start || one.end - other.end);
  const parts: string[] = [];
  let at = 0;
  for (const edit of ordered) {
    parts.push(text.slice(at, Math.max(at, edit.start)), edit.text);
    at = Math.max(at, edit.end);
  }
  return parts.join("") + text.slice(at);
}

/** Edits that make a value say something else, with as few changes as can be told from the value itself. */
export function editValue(doc: JwccDocument, style: Style, value: JwccValue, wanted: Json): Edit[] {
  const present = toJson(doc.text, value);
  if (isSame(present, wanted)) return [];
  if (value.kind === "object" && isObject(wanted) && isSpelledAlike(value, wanted)) {
    return editMembers(doc, style, value, wanted);
  }
  if (value.kind === "array" && Array.isArray(wanted)) return editElements(doc, style, value, wanted);
  const isSpread = !style.isOneLine && doc.text.slice(value.start, value.end).includes("\n");
  const indent = isSpread || beginsValueLine(doc.text, value) ? indentAt(doc.text, value.start) : undefined;
  const text = renderValue(wanted, style, style.isOneLine ? undefined : indent);
  return [{ start: value.start, end: value.end, text }];
}

/** Edits that remove and insert items of an object or a list. */
export function editContainer(
  doc: JwccDocument,
  style: Style,
  container: JwccContainer,
  { removed, inserted }: ContainerChange,
): Edit[] {
  const { items } = container;
  if (items.length === 0) return inserted.length === 0 ? [] : [fillEmpty(doc, style, container, inserted)];
  const kept = [...items.keys()].filter((index) => !removed.has(index));
  const anchored = inserted.map((each) => ({
    ...each,
    after: kept.findLast((index) => index <= each.after) ?? -1,
  }));
  // As `order` has them: a kept item by its index, a new one by itself.
  const order = [-1, ...kept].flatMap((index) => [
    ...(index === -1 ? [] : [index]),
    ...anchored.filter(({ after }) => after === index),
  ]);
  const endsInComma = items.at(-1)?.comma !== undefined;
  const wantsComma = (entry: number | Insertion): boolean => endsInComma || entry !== order.at(-1);
  return [
    ...items.flatMap((item, index) =>
      removed.has(index) ? removeItem(doc.text, item, index) : setComma(item, wantsComma(index)),
    ),
    ...anchored.map((each) => insertItem(doc, style, container, each, wantsComma(each))),
  ];
}

/** Members of a wanted object in their order: each comes behind those that are before it there. */
function editMembers(
  doc: JwccDocument,
  style: Style,
  value: JwccContainer,
  wanted: { readonly [name: string]: Json },
): Edit[] {
  const names = Object.keys(wanted);
  const removed = new Set<number>();
  const edits: Edit[] = [];
  for (const [index, { name, value: member }] of value.items.entries()) {
    const json = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
    if (json === undefined) removed.add(index);
    else edits.push(...editValue(doc, style, member, json));
  }
  const inserted = names.flatMap((name, rank) => {
    if (value.items.some((item) => item.name === name)) return [];
    const before = new Set(names.slice(0, rank));
    const after = value.items.findLastIndex((item) => before.has(item.name));
    return [{ after, name, json: wanted[name] ?? null }];
  });
  return [...edits, ...editContainer(doc, style, value, { removed, inserted })];
}

/** What is equal at both ends stays; what is between is changed in pairs, and then removed or inserted. */
function editElements(
  doc: JwccDocument,
  style: Style,
  { items, ...value }: JwccContainer,
  wanted: readonly Json[],
): Edit[] {
  const present = items.map((item) => toJson(doc.text, item.value));
  const shorter = Math.min(present.length, wanted.length);
  let head = 0;
  while (head < shorter && isSame(present[head], wanted[head])) head++;
  let tail = 0;
  while (tail < shorter - head && isSame(present.at(-1 - tail), wanted.at(-1 - tail))) tail++;
  const pairs = shorter - head - tail;
  const changed = items
    .slice(head, head + pairs)
    .flatMap((item, index) => editValue(doc, style, item.value, wanted[head + index] ?? null));
  const after = head + pairs - 1;
  const removed = new Set([...items.keys()].filter((index) => index > after && index < items.length - tail));
  const inserted = wanted
    .slice(head + pairs, wanted.length - tail)
    .map((json) => ({ after, name: undefined, json }));
  return [...changed, ...editContainer(doc, style, { ...value, items }, { removed, inserted })];
}

/** No member twice, and none by a name that differs in case alone: such an object is written anew. */
function isSpelledAlike({ items }: JwccContainer, wanted: object): boolean {
  const exact = new Set(Object.keys(wanted));
  const folded = new Set([...exact].map(foldName));
  const names = new Set(items.map(({ name }) => foldName(name)));
  return (
    names.size === items.length && items.every(({ name }) => exact.has(name) || !folded.has(foldName(name)))
  );
}

/** Whether a value, or the member that it belongs to, begins its line. */
function beginsValueLine(text: string, { start }: JwccValue): boolean {
  const line = text.slice(lineStart(text, start), start);
  return lineStart(text, start) > 0 && /^[ \t]*(?:"(?:[^"\\]|\\.)*"[ \t]*:[ \t]*)?$/.test(line);
}

function setComma({ end, comma }: JwccItem, wanted: boolean): Edit[] {
  if (wanted === (comma !== undefined)) return [];
  return comma === undefined
    ? [{ start: end, end, text: "," }]
    : [{ start: comma, end: comma + 1, text: "" }];
}

function removeItem(text: string, item: JwccItem, index: number): Edit[] {
  const { start, end, comma } = item;
  const behind = comma !== undefined && /^[ \t]*$/.test(text.slice(end, comma)) ? comma + 1 : end;
  const apart = comma === undefined || behind > end ? [] : [{ start: comma, end: comma + 1, text: "" }];
  const blank = endOfBlanks(text, behind);
  const lineEnd = /^\r?\n/.exec(text.slice(blank, blank + 2))?.[0];
  if (beginsLine(text, start)) {
    return lineEnd === undefined
      ? [{ start, end: blank, text: "" }, ...apart]
      : [{ start: lineStart(text, start), end: blank + lineEnd.length, text: "" }, ...apart];
  }
  // On a line with others: the white space towards its left neighbour goes, or, of the first, that towards the right one.
  if (index === 0) return [{ start, end: lineEnd === undefined ? blank : behind, text: "" }, ...apart];
  let from = start;
  while (isBlank(text, from - 1)) from--;
  return [{ start: from, end: behind, text: "" }, ...apart];
}

function insertItem(
  { text }: JwccDocument,
  style: Style,
  container: JwccContainer,
  insertion: Insertion,
  wantsComma: boolean,
): Edit {
  const { items } = container;
  const left = items[insertion.after];
  const right = items[insertion.after + 1];
  const from = left === undefined ? container.start + 1 : (left.comma ?? left.end - 1) + 1;
  const limit = right === undefined ? container.end - 1 : right.start;
  const comma = wantsComma ? "," : "";
  const lineEnd = findLineEnd(text, from, limit);
  const isSpread = text.slice(container.start, container.end).includes("\n");
  if (lineEnd === undefined && (right !== undefined || !isSpread)) {
    const item = renderItem(insertion, style, undefined) + comma;
    return right !== undefined && left === undefined
      ? { start: limit, end: limit, text: `${item}${comma && style.gap}` }
      : { ...placeOnLine(text, from, right === undefined ? limit : from), text: style.gap + item };
  }
  const indent = itemIndent(text, style, container, left ?? right);
  const at = lineEnd ?? lastBlankStart(text, from, limit);
  return { start: at, end: at, text: style.eol + indent + renderItem(insertion, style, indent) + comma };
}

/** Behind the comments that follow on the line, before the white space there. */
function placeOnLine(text: string, from: number, limit: number): Span {
  const at = lastBlankStart(text, from, limit);
  return { start: at, end: at };
}

function fillEmpty(
  { text }: JwccDocument,
  style: Style,
  container: JwccContainer,
  inserted: readonly Insertion[],
): Edit {
  const close = container.end - 1;
  const start = lastBlankStart(text, container.start + 1, close);
  const last = inserted.length - 1;
  if (style.isOneLine) {
    const items = inserted.map((each) => renderItem(each, style, undefined)).join(`,${style.gap}`);
    return { start, end: start, text: items };
  }
  const outer = indentAt(text, container.start);
  const indent = outer + style.unit;
  const items = inserted
    .map((each, index) => style.eol + indent + renderItem(each, style, indent) + (index === last ? "" : ","))
    .join("");
  const closesAlone = text.slice(start, close).includes("\n");
  return { start, end: closesAlone ? start : close, text: closesAlone ? items : items + style.eol + outer };
}

function renderItem({ name, json }: Insertion, style: Style, indent: string | undefined): string {
  return name === undefined ? renderValue(json, style, indent) : renderMember(name, json, style, indent);
}

/** That of its neighbour, or else of the first item that begins a line, or else one level more than the bracket's. */
function itemIndent(
  text: string,
  style: Style,
  container: JwccContainer,
  neighbour: JwccItem | undefined,
): string {
  if (neighbour !== undefined && beginsLine(text, neighbour.start)) return indentAt(text, neighbour.start);
  return firstIndent(text, container) ?? indentAt(text, container.start) + style.unit;
}

/** Where the line ends that white space and comments go on with; undefined if something else comes first. */
function findLineEnd(text: string, from: number, limit: number): number | undefined {
  let at = from;
  for (;;) {
    at = endOfBlanks(text, at);
    if (at >= limit) return undefined;
    if (text.startsWith("\n", at) || text.startsWith("\r\n", at)) return at;
    if (text.startsWith("/*", at)) at = endOfBlockComment(text, at);
    else return text.startsWith("//", at) ? endOfCommentText(text, at) : undefined;
  }
}

/** Where the white space begins that ends white space and comments; a `//` comment's own line end is its own. */
function lastBlankStart(text: string, from: number, limit: number): number {
  let at = from;
  for (;;) {
    const comment = nextComment(text, at);
    if (comment === undefined || comment >= limit) return at;
    at = text.startsWith("/*", comment) ? endOfBlockComment(text, comment) : endOfCommentText(text, comment);
  }
}

/** Where a `//` comment ends, its line's end not included. */
function endOfCommentText(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return text[end - 1] === "\r" ? end - 1 : end;
}

function nextComment(text: string, from: number): number | undefined {
  let at = from;
  while (isBlank(text, at) || text[at] === "\n" || text[at] === "\r") at++;
  return text.startsWith("//", at) || text.startsWith("/*", at) ? at : undefined;
}

function endOfBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text, at)) at++;
  return at;
}
