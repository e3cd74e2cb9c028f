/** What is ours, as a command line or a stack says. */
import { addAbortSignal } from "node:stream";
import process from "node:process";
import { text } from "node:stream/consumers";
import { readText } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { regionsOf } from "../../infra/derpmap/derp-map.ts";
import type { StackFile } from "../cli/stack-file.ts";
import { readStackFleet } from "../cli/stack-fleet.ts";
import { publishedMap } from "../derpmap/collect.ts";
import { type DerpPart, regionKey, type RegionKey } from "./derp-part.ts";
import { parsePart, parseWanted } from "./map-file.ts";
import type { Ours } from "./merge.ts";

/** What is to be pushed, and whose ids that are. */
export type Wish = Pick<Ours, "wanted" | "owned">;

/**
 * Reads a file with a derpMap; its ids are ours.
 *
 * @param file `-` for standard input
 * @throws KitError `file-unreadable`, `derpmap-invalid`
 */
export async function readMapFile(file: string, signal: AbortSignal): Promise<Wish> {
  const json = file === "-" ? await text(addAbortSignal(signal, process.stdin)) : await readText(file);
  const wanted = parseWanted(json, file === "-" ? "standard input" : file);
  return { wanted, owned: idsOf(wanted) };
}

/** @throws KitError `file-unreadable`, `derpmap-invalid` */
export async function readBaseFile(file: string): Promise<DerpPart> {
  return parsePart(await readText(file), file);
}

/** What of a stack may be published, and what is to be said of the rest. */
export interface StackWishOptions {
  /** True to publish regions that no gate was passed by. */
  readonly allowUnverified: boolean;
  readonly warn: (message: string) => void;
}

/**
 * Reads what a stack's last `up` left. Ours are the ids of all its regions, those that are not in the map included, and
 * those that were pushed before.
 *
 * @throws KitError `pulumi-missing`, `pulumi-failed`, `not-up-yet`, `derpmap-invalid`, `derpmap-unfit` if no region is left
 *   because none was shown to serve: to push that would take the tailnet's relays away
 */
export async function readStackMap(
  stackFile: StackFile,
  pushed: readonly DerpPart[],
  { allowUnverified, warn }: StackWishOptions,
): Promise<Wish> {
  const where = `stack ${stackFile.stack}`;
  const fleet = await readStackFleet(stackFile, warn);
  const map = publishedMap(fleet, allowUnverified);
  const held = fleet.unverified.map(({ id, region, reason }) => ({
    path: `region ${id} (${region.RegionCode})`,
    message: allowUnverified
      ? `is published, although nobody was shown it: ${reason}`
      : `is left out: ${reason}`,
  }));
  for (const { path, message } of held) warn(`${where}: ${path} ${message}`);
  if (held.length > 0 && regionsOf(map).length === 0) {
    const fix = "Let `pulumi up` pass their gates; --allow-unverified publishes them nevertheless.";
    throw new KitError("derpmap-unfit", { where, fix, problems: held });
  }
  const wanted = parseWanted(JSON.stringify(map), `the map of ${where}`);
  const ids = fleet.nodes.map(({ regionId }) => String(regionId));
  return {
    wanted,
    owned: new Set([...idsOf(wanted), ...ids, ...pushed.flatMap((part) => [...idsOf(part)])]),
  };
}

/**
 * Parses ids with commas between them.
 *
 * @throws KitError `usage`
 */
export function parseIds(ids: string): ReadonlySet<RegionKey> {
  const keys = ids.split(",").map((each) => {
    const id = regionKey(each.trim());
    if (id !== undefined) return id;
    throw new KitError("usage", { message: "--owned takes ids with commas between them, as in 901,902." });
  });
  return new Set(keys);
}

function idsOf({ regions }: DerpPart): ReadonlySet<RegionKey> {
  return new Set(regions.keys());
}
