/**
 * Merges our part of the derpMap into a tailnet policy, as text, three ways: what we pushed last, what is there, what we
 * want. Whatever is not ours stays byte for byte. Pure.
 */
import { KitError, type Problem } from "../../relay/errors.ts";
import {
  type DerpPart,
  type DerpPlaces,
  findInPolicy,
  foldNames,
  readPart,
  regionKey,
  type RegionKey,
} from "./derp-part.ts";
import { codeOf, describeRegion, nameRegion } from "./diff.ts";
import { applyEdits } from "./jwcc/edit.ts";
import { JwccError, parseJwcc } from "./jwcc/parse.ts";
import { type MemberPatch, type Patch, patchValue } from "./jwcc/patch.ts";
import { readStyle } from "./jwcc/style.ts";
import { foldName, isSame, type Json, type JwccDocument, type JwccItem, positionOf } from "./jwcc/tree.ts";
import { sentence } from "./map-file.ts";

/** What is ours, and how it came to be. */
export interface Ours {
  readonly wanted: DerpPart;
  /** Ids that are ours, whether they are in the wanted map or not. */
  readonly owned: ReadonlySet<RegionKey>;
  /**
   * What we pushed last; several if it is not known whether the last push arrived. None if nothing is known, so that
   * nothing that is there can be told from an edit of somebody else.
   */
  readonly bases: readonly DerpPart[];
  /** Without a base: take a region with our id and our code as one that we pushed. */
  readonly adopt: boolean;
}

/** A policy that could be read. */
export interface Policy {
  readonly doc: JwccDocument;
  readonly places: DerpPlaces;
  readonly part: DerpPart;
}

export interface Merged {
  /** The same text if there is nothing to change. */
  readonly text: string;
  /** Regions that were taken as ours without a base to tell. */
  readonly adopted: readonly RegionKey[];
}

/**
 * Reads a policy.
 *
 * @param name of the policy, for messages
 * @throws KitError `policy-invalid` with line and column
 */
export function parsePolicy(text: string, name: string): Policy {
  try {
    const doc = parseJwcc(text);
    const places = findInPolicy(doc);
    return { doc, places, part: readPart(doc, places) };
  } catch (error) {
    if (!(error instanceof JwccError)) throw error;
    const { line, column } = positionOf(text, error.offset);
    throw new KitError("policy-invalid", { where: `${name}:${line}:${column}`, message: sentence(error) });
  }
}

/**
 * Merges.
 *
 * @param name of the policy, for messages
 * @throws KitError `policy-conflict` with every place that somebody else has changed, or has
 */
export function mergePolicy(policy: Policy, ours: Ours, name: string): Merged {
  const verdicts = [...ours.owned].map((id) => judgeRegion(policy, ours, id));
  const conflicts = [...verdicts.flatMap(({ conflict }) => conflict ?? []), ...judgeOmit(policy, ours)];
  if (conflicts.length > 0) {
    throw new KitError("policy-conflict", {
      where: name,
      problems: conflicts.map(({ at, message }) => toProblem(policy, name, at, message)),
    });
  }
  const { doc } = policy;
  const text = applyEdits(doc.text, patchValue(doc, readStyle(doc), doc.root, buildPatch(policy, ours)));
  return { text, adopted: verdicts.flatMap(({ adopted }) => adopted ?? []) };
}

/** Of a part what belongs to these ids; whether default regions are left out goes along. */
export function ownPart(part: DerpPart, owned: ReadonlySet<RegionKey>): DerpPart {
  const pick = (all: ReadonlyMap<RegionKey, Json>) => new Map([...all].filter(([id]) => owned.has(id)));
  return { ...part, regions: pick(part.regions), scores: pick(part.scores) };
}

interface Conflict {
  /** Where it is; undefined if it is not there any more. */
  readonly at: JwccItem | undefined;
  readonly message: string;
}

interface RegionVerdict {
  readonly conflict?: Conflict;
  readonly adopted?: RegionKey;
}

function judgeRegion(policy: Policy, ours: Ours, id: RegionKey): RegionVerdict {
  const { wanted, bases } = ours;
  const items = policy.places.regionOf.get(id) ?? [];
  const scores = policy.places.scoreOf.get(id) ?? [];
  for (const all of [items, scores]) {
    if (all.length < 2) continue;
    const message = `region ${id} is there twice, and nothing tells which of them counts; keep one`;
    return { conflict: { at: all.at(-1), message } };
  }
  const conflict = judgeScore(policy, ours, id, scores[0]);
  if (conflict !== undefined) return { conflict };
  const [live, next] = [policy.part.regions.get(id), wanted.regions.get(id)];
  if (isAlike(live, next) || bases.some(({ regions }) => isAlike(live, regions.get(id)))) return {};
  const base = bases.map(({ regions }) => regions.get(id)).find((each) => each !== undefined);
  if (base !== undefined) return { conflict: { at: items[0], message: describeHandEdit(id, base, live) } };
  if (live === undefined) return {};
  const isOurCode = codeOf(live) !== undefined && codeOf(live) === codeOf(next);
  if (bases.length === 0 && isOurCode && ours.adopt) return { adopted: id };
  return { conflict: { at: items[0], message: describeForeign(id, live, next, bases.length > 0) } };
}

function describeHandEdit(id: RegionKey, base: Json, live: Json | undefined): string {
  const words = describeRegion(base, live).join("; ");
  return `${nameRegion(id, base)} was edited by hand since it was pushed: ${words}`;
}

function describeForeign(id: RegionKey, live: Json, next: Json | undefined, hasBase: boolean): string {
  const what = nameRegion(id, live);
  if (next === undefined) return `${what} is to be removed, and nothing shows that we pushed it as it is`;
  const isOurCode = codeOf(live) === codeOf(next);
  if (isOurCode && !hasBase)
    return `${what} is not as it would be, and nothing shows that we pushed it as it is`;
  return `${what} is somebody else's: it has an id of ours, and we did not push it`;
}

/** A score that neither we nor the map know is left alone, as is whatever stands there without a base. */
function judgeScore(
  { part }: Policy,
  { wanted, bases }: Ours,
  id: RegionKey,
  at: JwccItem | undefined,
): Conflict | undefined {
  const [live, next] = [part.scores.get(id), wanted.scores.get(id)];
  const known = bases.map(({ scores }) => scores.get(id));
  if (known.every((score) => score === undefined) || isSame(live, next)) return undefined;
  if (known.some((score) => isSame(score, live))) return undefined;
  return { at, message: `the score of region ${id} was edited by hand since it was pushed` };
}

function judgeOmit({ part, places }: Policy, { wanted, bases }: Ours): Conflict[] {
  const live = part.omitDefaultRegions ?? false;
  const known = bases.flatMap(({ omitDefaultRegions }) => omitDefaultRegions ?? []);
  if (wanted.omitDefaultRegions === undefined || isSame(live, wanted.omitDefaultRegions)) return [];
  if (known.length === 0 || known.some((each) => isSame(each, live))) return [];
  const message = `OmitDefaultRegions was edited by hand since it was pushed: it is ${JSON.stringify(live)}`;
  return [{ at: places.omitDefaultRegions, message }];
}

function buildPatch({ part }: Policy, { wanted, owned, bases }: Ours): Patch {
  const omit = wanted.omitDefaultRegions;
  const scores = [...owned].flatMap((id) => {
    const [score, live] = [wanted.scores.get(id), part.scores.get(id)];
    const wasOurs = live !== undefined && bases.some((base) => isSame(base.scores.get(id), live));
    return score === undefined && !wasOurs ? [] : [byId(id, score)];
  });
  const regions = [...owned].toSorted(ascending).flatMap((id) => {
    const next = wanted.regions.get(id);
    return isAlike(part.regions.get(id), next) ? [] : [byId(id, next)];
  });
  const members = [
    ...(omit === undefined || isSame(omit, part.omitDefaultRegions)
      ? []
      : [byName("OmitDefaultRegions", set(omit))]),
    byName("HomeParams", {
      kind: "members",
      members: [byName("RegionScore", { kind: "members", members: scores })],
    }),
    byName("Regions", { kind: "members", members: regions }),
  ];
  // A map that is to be new and would be empty is not made.
  return { kind: "members", members: [byName("derpMap", { kind: "members", members })] };
}

function byName(name: string, patch: Patch): MemberPatch {
  return { name, isName: (each) => foldName(each) === foldName(name), patch };
}

function byId(id: RegionKey, json: Json | undefined): MemberPatch {
  return {
    name: id,
    isName: (name) => regionKey(name) === id,
    isBehind: (name) => Number(regionKey(name) ?? 0) < Number(id),
    patch: json === undefined ? { kind: "remove" } : set(json),
  };
}

function set(json: Json): Patch {
  return { kind: "set", json };
}

function ascending(one: RegionKey, other: RegionKey): number {
  return Number(one) - Number(other);
}

/** Whether two regions are the same to Go, which does not see how names are spelled. */
function isAlike(one: Json | undefined, other: Json | undefined): boolean {
  return isSame(foldNames(one), foldNames(other));
}

function toProblem(
  { doc, places }: Policy,
  name: string,
  at: JwccItem | undefined,
  message: string,
): Problem {
  const place = at ?? places.regions ?? places.derpMap ?? doc.root;
  const { line, column } = positionOf(doc.text, place.start);
  // What others wrote into a policy is not to steer a terminal.
  return { path: `${name}:${line}:${column}`, message: message.replaceAll(/\p{C}/gu, "\uFFFD") };
}
