/** What is ours, as a command line or a stack says. */
import { addAbortSignal } from "node:stream";
import process from "node:process";
import { text } from "node:stream/consumers";
import { readText } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { regionsOf } from "../../infra/derpmap/derp-map.ts";
import type { StackFile } from "../cli/stack-file.ts";
import { type FleetOutputs, parseOutputs, readStackFleet } from "../cli/stack-fleet.ts";
import { publishedMap } from "../derpmap/collect.ts";
import { type DerpPart, regionKey, type RegionKey } from "./derp-part.ts";
import { parsePart, parseWanted } from "./map-file.ts";
import type { Change } from "./diff.ts";
import { isObject, type Json } from "./jwcc/tree.ts";
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
  options: StackWishOptions,
): Promise<Wish> {
  const fleet = await readStackFleet(stackFile, options.warn);
  return wishOf(fleet, `stack ${stackFile.stack}`, pushed, options, parseWanted);
}

/**
 * Reads what a stack's next `up` would leave, from what `npm run preview -- --json` wrote. Ours are the same ids. What only
 * the cloud knows stands in the map as it does in the preview, so that the map can be looked at and not be pushed.
 *
 * @throws KitError `file-unreadable`, `derpmap-invalid`, `derpmap-unfit`
 */
export async function readPreviewedMap(
  file: string,
  stackFile: StackFile,
  pushed: readonly DerpPart[],
  options: StackWishOptions,
): Promise<Wish> {
  const outputs = parsePreview(await readText(file), file);
  return wishOf(
    parseOutputs(outputs, stackFile),
    `the preview of stack ${stackFile.stack}`,
    pushed,
    options,
    parsePart,
  );
}

function parsePreview(json: string, file: string): Readonly<Record<string, unknown>> {
  try {
    const { outputs }: { outputs?: unknown } = Object(JSON.parse(json));
    if (Object(outputs) === outputs) return { ...Object(outputs) };
  } catch {
    // Said below.
  }
  const fix =
    "Give the document that `npm --silent run preview -- --stack NAME --json` writes; a preview that failed has no map.";
  throw new KitError("derpmap-invalid", { where: file, message: "This is no preview of a stack.", fix });
}

function wishOf(
  fleet: FleetOutputs,
  where: string,
  pushed: readonly DerpPart[],
  { allowUnverified, warn }: StackWishOptions,
  parse: (json: string, name: string) => DerpPart,
): Wish {
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
  const wanted = parse(JSON.stringify(map), `the map of ${where}`);
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

/**
 * What is still to be told of a region that is new in a previewed map: where its nodes are to be found, as far as that is
 * known. Nothing of any other change.
 */
export function describeNewNodes({ wanted }: Wish, { what, words }: Change): Change[] {
  if (words !== "added") return [];
  const id = /^region (\d+)/.exec(what)?.[1] ?? "";
  const region = wanted.regions.get(id);
  const nodes = isObject(region) && Array.isArray(region["Nodes"]) ? region["Nodes"] : [];
  return nodes.filter(isObject).map((node) => {
    const [name, host, ipv4, ipv6] = ["Name", "HostName", "IPv4", "IPv6"].map((field) => textOf(node[field]));
    return { what, words: `node ${name} at ${host}, IPv4 ${ipv4}, IPv6 ${ipv6}` };
  });
}

/** Where a node has no text, clients ask DNS. */
function textOf(field: Json | undefined): string {
  return typeof field === "string" && field !== "" ? field : "by its name";
}

function idsOf({ regions }: DerpPart): ReadonlySet<RegionKey> {
  return new Set(regions.keys());
}
