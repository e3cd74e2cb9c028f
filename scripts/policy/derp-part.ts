/** Where a policy, or a file with a derpMap, has what concerns DERP. Names are matched as Go's JSON matches them. Pure. */
import { JwccError } from "./jwcc/parse.ts";
import {
  foldName,
  isObject,
  type Json,
  type JwccDocument,
  type JwccItem,
  type JwccValue,
  toJson,
} from "./jwcc/tree.ts";

/** A region's id in decimal digits, without zeros before it. */
export type RegionKey = string;

/** What a derpMap says that can be somebody's: regions, whether Tailscale's own are left out, and scores. */
export interface DerpPart {
  /** A region that is null takes one of Tailscale's own out of the map. */
  readonly regions: ReadonlyMap<RegionKey, Json>;
  /** Undefined if the map does not say. */
  readonly omitDefaultRegions: Json | undefined;
  /** `HomeParams.RegionScore`. */
  readonly scores: ReadonlyMap<RegionKey, Json>;
}

/** The items behind a part; what is not there is undefined. */
export interface DerpPlaces {
  readonly derpMap: JwccItem | undefined;
  readonly regions: JwccItem | undefined;
  readonly omitDefaultRegions: JwccItem | undefined;
  readonly homeParams: JwccItem | undefined;
  readonly regionScore: JwccItem | undefined;
  readonly regionOf: ReadonlyMap<RegionKey, readonly JwccItem[]>;
  readonly scoreOf: ReadonlyMap<RegionKey, readonly JwccItem[]>;
}

export const noPart: DerpPart = { regions: new Map(), omitDefaultRegions: undefined, scores: new Map() };

/**
 * Finds the places in a policy: those of its member derpMap.
 *
 * @throws JwccError if the policy is no object, or has one of these members twice or as something else than an object
 */
export function findInPolicy(doc: JwccDocument): DerpPlaces {
  if (doc.root.kind !== "object") throw new JwccError("a policy has to be an object", doc.root.start);
  const derpMap = only(doc, doc.root, "derpMap");
  return { ...findInMap(doc, derpMap?.value), derpMap };
}

/**
 * Finds the places in a derpMap.
 *
 * @param map undefined for none
 * @throws JwccError as `findInPolicy`
 */
export function findInMap(doc: JwccDocument, map: JwccValue | undefined): DerpPlaces {
  const regions = only(doc, map, "Regions");
  const homeParams = only(doc, map, "HomeParams");
  const regionScore = only(doc, homeParams?.value, "RegionScore");
  return {
    derpMap: undefined,
    regions,
    omitDefaultRegions: only(doc, map, "OmitDefaultRegions"),
    homeParams,
    regionScore,
    regionOf: groupById(doc, regions?.value),
    scoreOf: groupById(doc, regionScore?.value),
  };
}

/** What is at the places. Of an id that is there twice the last counts, as in Go. */
export function readPart({ text }: JwccDocument, places: DerpPlaces): DerpPart {
  const read = (items: DerpPlaces["regionOf"]) =>
    new Map(
      [...items].flatMap(([id, all]) => {
        const last = all.at(-1);
        return last === undefined ? [] : [[id, toJson(text, last.value)] as const];
      }),
    );
  const omit = places.omitDefaultRegions;
  return {
    regions: read(places.regionOf),
    omitDefaultRegions: omit === undefined ? undefined : toJson(text, omit.value),
    scores: read(places.scoreOf),
  };
}

/** The derpMap that says no more than this part, as JSON, ids ascending. */
export function renderPart({ regions, omitDefaultRegions, scores }: DerpPart): Json {
  return {
    ...(scores.size === 0 ? {} : { HomeParams: { RegionScore: Object.fromEntries(scores) } }),
    ...(omitDefaultRegions === undefined ? {} : { OmitDefaultRegions: omitDefaultRegions }),
    Regions: Object.fromEntries(regions),
  };
}

/** The region's id that a member's name stands for, as Go reads an integer: `0901` and `+901` are 901 as well. */
export function regionKey(name: string): RegionKey | undefined {
  return /^\+?0*([1-9]\d*)$/.exec(name)?.[1];
}

/** The one member of that name. */
function only(doc: JwccDocument, value: JwccValue | undefined, name: string): JwccItem | undefined {
  const [first, second] = membersOf(doc, value).filter((item) => foldName(item.name) === foldName(name));
  if (second === undefined) return first;
  throw new JwccError(
    `${name} is there twice, and nothing tells which of them counts; keep one`,
    second.start,
  );
}

function groupById(
  doc: JwccDocument,
  value: JwccValue | undefined,
): ReadonlyMap<RegionKey, readonly JwccItem[]> {
  const byId = new Map<RegionKey, JwccItem[]>();
  for (const item of membersOf(doc, value)) {
    const id = regionKey(item.name);
    if (id === undefined) continue;
    const items = byId.get(id);
    if (items === undefined) byId.set(id, [item]);
    else items.push(item);
  }
  return byId;
}

/** Of null none, as in Go. */
function membersOf({ text }: JwccDocument, value: JwccValue | undefined): readonly JwccItem[] {
  if (value === undefined) return [];
  if (value.kind === "object") return value.items;
  if (text.slice(value.start, value.end) === "null") return [];
  throw new JwccError("this has to be an object", value.start);
}

/** Spells names of members in lower case, so that two spellings of Go's compare as one. */
export function foldNames(json: Json | undefined): Json | undefined {
  if (Array.isArray(json)) return json.map((each) => foldNames(each) ?? null);
  if (!isObject(json)) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, each]) => [foldName(name), foldNames(each) ?? null]),
  );
}
