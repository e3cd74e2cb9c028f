/** What is ours, as a command line or a stack says. */
import { addAbortSignal } from "node:stream";
import process from "node:process";
import { text } from "node:stream/consumers";
import * as v from "valibot";
import { readText } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { readStackOutputs } from "../cli/pulumi-cli.ts";
import type { StackFile } from "../cli/stack-file.ts";
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

const nodesSchema = v.fallback(v.array(v.object({ regionId: v.number() })), []);

/**
 * Reads a stack's outputs. Ours are the ids of all its regions, those that are not in the map included, and those that
 * were pushed before.
 *
 * @throws KitError `pulumi-missing`, `pulumi-failed`, `not-up-yet`, `derpmap-invalid`
 */
export async function readStackMap(stackFile: StackFile, pushed: readonly DerpPart[]): Promise<Wish> {
  const { derpMap, nodes } = (await readStackOutputs(stackFile)) ?? {};
  const where = `stack ${stackFile.stack}`;
  if (derpMap === undefined) {
    const fix = `Bring the stack up: \`npm run pulumi -- up --stack ${stackFile.stack}\`.`;
    throw new KitError("not-up-yet", { where, message: "The stack has no output derpMap.", fix });
  }
  const wanted = parseWanted(JSON.stringify(derpMap), `output derpMap of ${where}`);
  const ids = v.parse(nodesSchema, nodes).map(({ regionId }) => String(regionId));
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
