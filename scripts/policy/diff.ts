/** What differs between two derpMaps, in words. Pure. */
import { type DerpPart, foldNames, type RegionKey } from "./derp-part.ts";
import { isObject, isSame, type Json } from "./jwcc/tree.ts";

/** A difference: what it is about, and what is different. */
export interface Change {
  /** `region 902 fra-b`, or `default regions`. */
  readonly what: string;
  readonly words: string;
}

/** Renders a difference on one line. Names in a policy are anybody's: what a terminal would obey becomes a replacement character. */
export function renderChange({ what, words }: Change): string {
  return `${what}: ${words}`.replaceAll(/\p{C}/gu, "\uFFFD");
}

/**
 * Lists what changes from one part to the other among the owned ids.
 *
 * @param after its `omitDefaultRegions`, if it says nothing, leaves things as they are
 */
export function describeChanges(before: DerpPart, after: DerpPart, owned: ReadonlySet<RegionKey>): Change[] {
  const changes = [...owned]
    .toSorted((one, other) => Number(one) - Number(other))
    .flatMap((id) => {
      const [old, next] = [before.regions.get(id), after.regions.get(id)];
      const what = nameRegion(id, next ?? old);
      const score = describeScore(before.scores.get(id), after.scores.get(id));
      return [...describeRegion(old, next), ...score].map((words) => ({ what, words }));
    });
  const [old, next] = [before.omitDefaultRegions ?? false, after.omitDefaultRegions];
  if (next === undefined || isSame(old, next)) return changes;
  const words = next === true ? "left out (OmitDefaultRegions)" : "no longer left out (OmitDefaultRegions)";
  return [...changes, { what: "default regions", words }];
}

/** `region 902 fra-b`. */
export function nameRegion(id: RegionKey, region: Json | undefined): string {
  const code = codeOf(region);
  return code === undefined ? `region ${id}` : `region ${id} ${code}`;
}

/** A region's code; undefined if it says none. */
export function codeOf(region: Json | undefined): string | undefined {
  const folded = foldNames(region);
  const code = isObject(folded) ? folded["regioncode"] : undefined;
  return typeof code === "string" ? code : undefined;
}

/** What changes of one region. Empty if both say the same. */
export function describeRegion(before: Json | undefined, after: Json | undefined): string[] {
  if (isSame(foldNames(before), foldNames(after))) return [];
  if (before === undefined) return [after === null ? "taken out of Tailscale's own (null)" : "added"];
  if (after === undefined) return ["removed"];
  if (!isObject(before) || !isObject(after)) return [`${render(before)} -> ${render(after)}`];
  const [old, next] = [splitNodes(before), splitNodes(after)];
  const words = [...describeFields(old.fields, next.fields), ...describeNodes(old.nodes, next.nodes)];
  return words.length > 0 ? words : ["written otherwise"];
}

function describeScore(before: Json | undefined, after: Json | undefined): string[] {
  return isSame(before, after) ? [] : [`score ${render(before)} -> ${render(after)}`];
}

interface Named {
  /** As it is written where it comes from, for words. */
  readonly written: string;
  readonly json: Json;
}

type Fields = ReadonlyMap<string, Named>;

function splitNodes(region: { readonly [name: string]: Json }): { fields: Fields; nodes: readonly Json[] } {
  const fields = fieldsOf(region);
  const nodes = fields.get("nodes")?.json;
  return Array.isArray(nodes)
    ? { fields: new Map([...fields].filter(([name]) => name !== "nodes")), nodes }
    : { fields, nodes: [] };
}

function describeNodes(before: readonly Json[], after: readonly Json[]): string[] {
  const [old, next] = [before.map(nameNode), after.map(nameNode)];
  const stay = old.filter((name) => next.includes(name));
  const order = next.filter((name) => old.includes(name));
  return [
    ...old.filter((name) => !next.includes(name)).map((name) => `node ${name} removed`),
    ...next.flatMap((name, index) => {
      const node = before[old.indexOf(name)];
      if (node === undefined) return [`node ${name} added`];
      const fields = describeFields(fieldsOf(node), fieldsOf(after[index] ?? null));
      return fields.map((words) => `node ${name} ${words}`);
    }),
    ...(isSame(stay, order) ? [] : [`nodes tried in another order: ${next.join(", ")}`]),
  ];
}

function describeFields(before: Fields, after: Fields): string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])];
  return names.flatMap((name) => {
    const [old, next] = [before.get(name), after.get(name)];
    if (isSame(foldNames(old?.json), foldNames(next?.json))) return [];
    return [`${(next ?? old)?.written} ${render(old?.json)} -> ${render(next?.json)}`];
  });
}

function fieldsOf(json: Json): Fields {
  if (!isObject(json)) return new Map();
  return new Map(
    Object.entries(json).map(([written, value]) => [written.toLowerCase(), { written, json: value }]),
  );
}

function nameNode(node: Json): string {
  const name = fieldsOf(node).get("name")?.json;
  return typeof name === "string" ? name : render(node);
}

function render(json: Json | undefined): string {
  const text = json === undefined ? "none" : JSON.stringify(json);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
