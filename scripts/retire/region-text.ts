/**
 * A region in the text of a stack file. Pure.
 *
 * Only what is meant is changed, and all else stays byte for byte: a YAML library that writes the whole file anew changes its
 * blanks and quotes, and whoever looks at the change has to find it among them.
 */
import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { namespace } from "../../infra/config/path.ts";
import { KitError } from "../../relay/errors.ts";

const stateKey = "state";
/** A state that was not written before comes after the last of these. */
const firstKeys: ReadonlySet<unknown> = new Set(["id", "code", "name", "cloud", "location"]);

/**
 * Writes a region's state.
 *
 * @param text of a stack file that can be read
 * @param index of the region in the list
 * @throws KitError `config-invalid` if the region is written elsewhere, by an anchor
 */
export function writeState(text: string, index: number, state: string): string {
  const region = regionsIn(configOf(text)).items[index];
  if (!isMap(region)) throw elsewhere(index);
  const written = region.items.find(({ key }) => valueOf(key) === stateKey)?.value;
  if (isScalar(written)) {
    const [start, end] = rangeOf(written);
    return text.slice(0, start) + state + text.slice(end);
  }
  const above = region.items.findLast(({ key, value }) => firstKeys.has(valueOf(key)) && isScalar(value));
  if (written !== undefined || above === undefined) throw elsewhere(index);
  return insertBelow(text, above, `${stateKey}: ${state}`, region.flow === true);
}

/**
 * Takes a region out, with its comments, and these secrets, by their names without namespace.
 *
 * @throws KitError `config-invalid` if the region is written elsewhere, by an anchor
 */
export function removeRegion(text: string, index: number, secrets: readonly string[]): string {
  const config = configOf(text);
  const regions = regionsIn(config);
  const region = regions.items[index];
  if (!isMap(region)) throw elsewhere(index);
  const names = new Set(secrets.flatMap((name) => [namespace + name, name]));
  const cuts = config.items
    .filter(({ key }) => names.has(String(valueOf(key))))
    .map((pair) => linesOf(text, startOf(pair.key), endOf(pair)));
  cuts.push(regions.flow === true ? itemOf(regions, index) : linesOf(text, startOf(region), endOf(region)));
  return cuts
    .toSorted(([a], [b]) => b - a)
    .reduce((rest, [start, end]) => rest.slice(0, start) + rest.slice(end), text);
}

type Cut = readonly [start: number, end: number];

function configOf(text: string): YAMLMap {
  const config = parseDocument(text, { merge: true, logLevel: "error" }).get("config");
  if (!isMap(config) || config.flow === true) throw elsewhere();
  return config;
}

/** As in Pulumi, a key without a namespace is the project's own. */
function regionsIn(config: YAMLMap): YAMLSeq {
  const regions = config.get(`${namespace}regions`) ?? config.get("regions");
  if (!isSeq(regions)) throw elsewhere();
  return regions;
}

/** On a line of its own, as far in as the pair above it; or behind it, where a mapping is on one line. */
function insertBelow(text: string, above: Pair, what: string, isFlow: boolean): string {
  const end = endOf(above);
  if (isFlow) return `${text.slice(0, end)}, ${what}${text.slice(end)}`;
  const start = startOf(above.key);
  const indent = " ".repeat(start - lineStart(text, start));
  const next = lineEnd(text, end);
  const [head, tail] = [text.slice(0, next), text.slice(next)];
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  return `${head.endsWith("\n") ? head : head + eol}${indent}${what}${eol}${tail}`;
}

/** The lines of a value, with the comments right above it, and those below that are as far in as what is in it. */
function linesOf(text: string, from: number, to: number): Cut {
  let start = lineStart(text, from);
  const depth = indentOf(text, start);
  while (start > 0) {
    const above = lineStart(text, start - 1);
    if (!isComment(text, above) || indentOf(text, above) > depth) break;
    start = above;
  }
  let end = lineEnd(text, to);
  while (end < text.length && isComment(text, end) && indentOf(text, end) > depth) end = nextLine(text, end);
  return [start, end];
}

/** An item of a list on one line, with the comma on one side of it. */
function itemOf({ items }: YAMLSeq, index: number): Cut {
  const [before, after] = [items[index - 1], items[index + 1]];
  if (after !== undefined) return [startOf(items[index]), startOf(after)];
  return [before === undefined ? startOf(items[index]) : endOf(before), endOf(items[index])];
}

/** At the first character of a line. */
function lineStart(text: string, at: number): number {
  return text.lastIndexOf("\n", at - 1) + 1;
}

/** After the line that what ends there is on. A text of several lines ends with its last one. */
function lineEnd(text: string, at: number): number {
  return text[at - 1] === "\n" ? at : nextLine(text, at);
}

function nextLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}

function isComment(text: string, start: number): boolean {
  return /^[ \t]*#/.test(text.slice(start, nextLine(text, start)));
}

function indentOf(text: string, start: number): number {
  return /^ */.exec(text.slice(start))?.[0].length ?? 0;
}

function valueOf(key: unknown): unknown {
  return isScalar(key) ? key.value : key;
}

function rangeOf(node: unknown): Cut {
  const range = isScalar(node) || isAlias(node) || isCollection(node) ? node.range : undefined;
  if (!range) throw new Error("the parser gave no range");
  return [range[0], range[1]];
}

function startOf(node: unknown): number {
  return rangeOf(node)[0];
}

/** Of the last thing in it: a block has blanks and comments after that, which are not its own. */
function endOf(node: unknown): number {
  if (isPair(node)) return endOf(node.value ?? node.key);
  const last = isCollection(node) && node.flow !== true ? node.items.at(-1) : undefined;
  return last === undefined ? rangeOf(node)[1] : endOf(last);
}

function elsewhere(index?: number): KitError {
  const path = index === undefined ? `${namespace}regions` : `${namespace}regions[${index}]`;
  return new KitError("config-invalid", {
    problems: [
      {
        path,
        message: "is written in a way that this cannot change, by an anchor for example; change it by hand",
      },
    ],
  });
}
