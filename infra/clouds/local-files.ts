/**
 * The files that stand for machines on this one: where they are, and how they are written.
 *
 *     .derpkit/local/<stack>.json            ports and pins, chosen once and kept
 *     .derpkit/local/<stack>/<node>/state/   what /var/lib/derpkit is on a virtual machine
 *     .derpkit/local/<stack>/mesh-<id>.key   the mesh key of a region, where no node of that name can be
 *     .derpkit/local/<stack>/delivery/       what scripts/start publishes, so no node may have that name
 */
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { isErrno, readIfThere, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";

const portSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));

const keptNodeSchema = v.object({
  certName: v.pipe(v.string(), v.regex(/^sha256-raw:[0-9a-f]{64}$/)),
  derpPort: portSchema,
  hostName: v.string(),
  stunPort: portSchema,
});

/** Not Valibot's record, which drops a node that is called `constructor`. */
const keptSchema = v.object({
  nodes: v.pipe(
    v.custom<object>((nodes) => typeof nodes === "object" && nodes !== null),
    v.transform((nodes) => Object.entries(nodes)),
    v.array(v.tuple([v.string(), keptNodeSchema])),
  ),
});

/** What is kept of one node. */
export type KeptNode = v.InferOutput<typeof keptNodeSchema>;
/** By node name. Nodes that left the configuration stay, so that they find their ports again. */
export type KeptNodes = ReadonlyMap<string, KeptNode>;

/** The folder of all local stacks of a project. */
export function localFolder(root: string): string {
  return join(root, ".derpkit", "local");
}

/** The folder that a node's relay has for its state: certificate, key, the updater's memory. */
export function nodeStateFolder(root: string, stack: string, node: string): string {
  return join(localFolder(root), stack, node, "state");
}

/** The file with a region's mesh key. */
export function meshKeyFile(root: string, stack: string, regionId: number): string {
  return join(localFolder(root), stack, `mesh-${regionId}.key`);
}

/**
 * Reads what is kept of a stack's nodes; nothing if there is no such file.
 *
 * @throws KitError `file-unreadable` if the file is damaged
 */
export async function readKept(root: string, stack: string): Promise<KeptNodes> {
  const file = keptFile(root, stack);
  const text = await readIfThere(file);
  if (text === undefined) return new Map();
  const result = v.safeParse(keptSchema, decodeJson(text));
  if (result.success) return new Map(result.output.nodes);
  throw new KitError("file-unreadable", {
    message: "The file with the ports and pins of a local stack is damaged.",
    where: file,
    fix: "Restore it, or delete it: the nodes then get new ports, and the derpMap changes.",
  });
}

/** Reads what is kept of all other local stacks of the project. */
export async function readKeptOfOthers(root: string, stack: string): Promise<KeptNode[]> {
  const names = (await readdir(localFolder(root), { withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
    .map(({ name }) => name.slice(0, -".json".length));
  const others = await Promise.all(
    names.filter((name) => name !== stack).map((name) => readKept(root, name)),
  );
  return others.flatMap((kept) => [...kept.values()]);
}

/** Writes what is to be kept, with sorted keys. A file that says the same already is not touched. */
export async function writeKept(root: string, stack: string, kept: KeptNodes): Promise<void> {
  const nodes = Object.fromEntries(
    [...kept]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { certName, derpPort, hostName, stunPort }]) => [
        name,
        { certName, derpPort, hostName, stunPort },
      ]),
  );
  const text = `${JSON.stringify({ nodes }, null, 2)}\n`;
  const file = keptFile(root, stack);
  if (text !== (await readIfThere(file))) await writeWhole(file, text, 0o644);
}

/**
 * Runs an action while no other program on this machine runs one for the same project, so that two first runs at the
 * same time agree on ports and pins.
 *
 * The action takes well under a second. A lock that is ten seconds old belongs to a program that was killed.
 */
export async function withLock<Result>(root: string, action: () => Promise<Result>): Promise<Result> {
  const lock = join(localFolder(root), ".lock");
  await mkdir(dirname(lock), { recursive: true });
  while (!(await tryLock(lock))) await sleep(50);
  try {
    return await action();
  } finally {
    await rm(lock, { force: true });
  }
}

const staleAfter = 10_000; // ms

async function tryLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, "", { flag: "wx" });
    return true;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    if (await isStale(lock)) await rm(lock, { force: true });
    return false;
  }
}

/** Also if the clock was set back since. A lock that has gone in the meantime is not stale. */
async function isStale(lock: string): Promise<boolean> {
  try {
    return Math.abs(Date.now() - (await stat(lock)).mtimeMs) > staleAfter;
  } catch {
    return false;
  }
}

function keptFile(root: string, stack: string): string {
  return join(localFolder(root), `${stack}.json`);
}

function decodeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
