/** One map of several stacks and files, as a tailnet may be given it. */
import { checkDerpMap } from "../../infra/derpmap/check.ts";
import { type DerpMap, type DerpRegion, regionsOf } from "../../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import { readText } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { resolveStack } from "../cli/stack-file.ts";
import { readStackFleet, type StackFleet } from "../cli/stack-fleet.ts";
import { mergeMaps, type OwnedMap } from "./merge.ts";

export interface Sources {
  /** Names or files of stacks, as `--stack` takes them. */
  readonly stacks: readonly string[];
  readonly files: readonly string[];
  /** True if the files' relays are on this machine. */
  readonly local?: boolean;
  /** True to have regions in the map that no gate was passed by. */
  readonly allowUnverified?: boolean;
}

/** A region that nobody was shown to serve. */
export interface Unverified {
  /** As messages name it. */
  readonly owner: string;
  readonly id: number;
  readonly code: string;
  readonly reason: string;
}

export interface Collected {
  readonly map: DerpMap;
  /** In the map only if that was allowed. */
  readonly unverified: readonly Unverified[];
}

/**
 * Reads, merges and checks. Stacks are read one after the other.
 *
 * @throws KitError `derpmap-unfit`, `derpmap-collision`, and whatever a stack or file cannot be read by
 */
export async function collectMap(
  { stacks, files, local = false, allowUnverified = false }: Sources,
  warn: (message: string) => void,
): Promise<Collected> {
  const sources: OwnedMap[] = [];
  const unverified: Unverified[] = [];
  for (const name of stacks) {
    const stackFile = await resolveStack(name);
    const owner = `stack ${stackFile.stack}`;
    const fleet = await readStackFleet(stackFile, (message) => warn(`${owner}: ${message}`));
    sources.push({ owner, map: publishedMap(fleet, allowUnverified), local: fleet.local });
    for (const { id, reason, region } of fleet.unverified) {
      unverified.push({ owner, id, code: region.RegionCode, reason });
    }
  }
  for (const file of files) {
    const map = parseDerpMap(await readText(file), true);
    const all = regionsOf(map).map(({ RegionID }) => RegionID);
    sources.push({ owner: `file ${file}`, map, local: new Set(local ? all : []) });
  }
  return { map: mergeFit(sources, allowUnverified ? [] : unverified), unverified };
}

/** The stack's map without the regions that no gate was passed by, or with all of them. */
export function publishedMap(
  { derpMap, unverified }: Pick<StackFleet, "derpMap" | "unverified">,
  allowUnverified: boolean,
): DerpMap {
  const apart = new Map(unverified.map(({ id, region }) => [String(id), region]));
  const verified = Object.entries(derpMap.Regions).filter(([id]) => !apart.has(id));
  const regions: (readonly [string, DerpRegion | null])[] = [...verified, ...(allowUnverified ? apart : [])];
  const Regions = Object.fromEntries(regions);
  const { HomeParams, ...rest } = derpMap;
  const scores = Object.entries(HomeParams?.RegionScore ?? {}).filter(([id]) => id in Regions);
  return {
    ...(scores.length > 0 ? { HomeParams: { RegionScore: Object.fromEntries(scores) } } : {}),
    ...rest,
    Regions,
  };
}

function mergeFit(sources: readonly OwnedMap[], missing: readonly Unverified[]): DerpMap {
  const unfit = sources.flatMap(({ owner, map, local }) =>
    // Whether anything is left of the whole without Tailscale's regions, the whole shows.
    checkDerpMap({ ...map, OmitDefaultRegions: false }, { local }).map(({ path, message }) => {
      return { path: `${owner}: ${path}`, message };
    }),
  );
  if (unfit.length > 0) throw new KitError("derpmap-unfit", { problems: unfit });
  const { map, collisions } = mergeMaps(sources);
  if (collisions.length > 0) throw new KitError("derpmap-collision", { problems: collisions });
  const problems = checkDerpMap(map, { local: true });
  if (regionsOf(map).length === 0) problems.push({ path: "Regions", message: "is empty: no region is left" });
  if (problems.length === 0) return map;
  const held = missing.map(({ owner, id, code, reason }) => {
    return { path: `region ${id} (${code}) of ${owner}`, message: `is left out: ${reason}` };
  });
  throw new KitError("derpmap-unfit", { problems: [...problems, ...held] });
}
