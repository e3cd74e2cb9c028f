/** `npm run bundle`: what each region of a stack has to be delivered, ready to be uploaded. */
import type { KeyObject } from "node:crypto";
import { text } from "node:stream/consumers";
import path from "node:path";
import process from "node:process";
import * as v from "valibot";
import type { FleetNode } from "../infra/clouds/cloud.ts";
import type { FleetConfig } from "../infra/config/fleet.ts";
import { readText } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import { describeFile, type ManifestFile } from "../relay/updater/manifest.ts";
import { configuredContent, publishRegionBundle } from "../infra/delivery/region-bundle.ts";
import { buildMachineFiles, type MachineFiles, runtimeOf } from "../infra/delivery/machine-files.ts";
import { type RelayBundle, relayBundle, updaterBundle } from "../infra/delivery/relay-bundle.ts";
import { fetchRuntimes, runtimeCache } from "../infra/delivery/runtime-archive.ts";
import { readStackSigningKey } from "./keys/stack-signing-key.ts";
import { withStep } from "./cli/with-step.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { renderTable } from "./cli/output.ts";
import { knownAfterUp, runProgram } from "./cli/program.ts";
import { resolveStack, type StackFile } from "./cli/stack-file.ts";

export const command: Command = {
  name: "bundle",
  summary: "Write the signed bundle of each region of a stack.",
  usage: "[--stack NAME] [--json]",
  about: [
    "Writes dist/bundles/<region code>/: relay.mjs, config/<node>.json, manifest.json and manifest.sig, and for machines in",
    "a cloud the updater, its first step (stage1.sh), units and the pinned runtime, which is fetched once and kept. Upload a",
    "folder's manifest last. A bundle whose content did not change keeps its sequence, and with it every byte.",
    "Signs with the stack's secret derpkit:signingKey (npm run keys), which Pulumi's CLI opens; a stack that has none, or",
    "whose relays are all on this machine, with the key in .derpkit/local/<stack>/signing.key.",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "stack name or path of a stack file; default local" },
    nodes: {
      type: "string",
      value: "FILE",
      help: "the nodes as `pulumi stack output nodes --json` prints them; - is standard input",
    },
  },
  run,
};

async function run({ flags, out }: CommandContext): Promise<ExitStatus> {
  const stackFile = await resolveStack(typeof flags["stack"] === "string" ? flags["stack"] : undefined);
  const { nodes, config } = await runProgram(stackFile, (message) => out.note(`warning: ${message}`));
  const known = flags["nodes"] === undefined ? nodes : await readNodes(String(flags["nodes"]), nodes);
  requireKnown(known);
  // First of what takes long: it may fail for want of a passphrase.
  const signingKey = await readStackSigningKey(stackFile, config);
  const relay = await withStep(out, "bundling the relay", relayBundle);
  const machines = await withStep(out, "fetching what machines run on", () =>
    gatherMachineFiles(config, known),
  );
  const regions = await withStep(out, "writing the bundles", () =>
    writeBundles(stackFile, config, known, relay, machines, signingKey),
  );

  const rows = regions.flatMap(({ folder, files }) =>
    files.map(({ path: file, sha256, size }) => [path.posix.join(folder, file), String(size), sha256]),
  );
  out.line(renderTable(["file", "bytes", "SHA-256"], rows));
  out.document({ ok: true, stack: stackFile.stack, version: relay.version, regions });
  return 0;
}

const outputSchema = v.array(
  v.object({
    name: v.string(),
    relayConfig: v.object({
      hostname: v.string(),
      acmeIps: v.exactOptional(v.string()),
      meshWith: v.exactOptional(v.string()),
    }),
  }),
);

/**
 * Puts in what only the cloud knew.
 *
 * @throws KitError `usage` if it is no output of a fleet
 */
export async function readNodes<Node extends Pick<FleetNode, "name" | "relayConfig">>(
  file: string,
  planned: readonly Node[],
): Promise<Node[]> {
  const written = file === "-" ? await text(process.stdin) : await readText(file);
  let output: v.InferOutput<typeof outputSchema>;
  try {
    output = v.parse(outputSchema, JSON.parse(written));
  } catch (cause) {
    throw new KitError("usage", {
      where: file,
      message: "--nodes takes the stack's output `nodes` as JSON.",
      cause,
    });
  }
  return planned.map((node) => {
    const given = output.find(({ name }) => name === node.name)?.relayConfig;
    const isOpen = JSON.stringify(node.relayConfig).includes(knownAfterUp);
    if (given === undefined || !isOpen) return node;
    return { ...node, relayConfig: { ...node.relayConfig, ...given } };
  });
}

/** @throws KitError `not-up-yet` */
function requireKnown(nodes: readonly FleetNode[]): void {
  const open = nodes.filter(({ relayConfig }) => JSON.stringify(relayConfig).includes(knownAfterUp));
  if (open.length === 0) return;
  throw new KitError("not-up-yet", {
    problems: open.map(({ name }) => ({
      path: `node ${name}`,
      message: "has a configuration that names addresses, which only the cloud knows",
    })),
  });
}

/** Of each region with machines, by its code. */
type MachineFilesOf = ReadonlyMap<string, MachineFiles>;

async function gatherMachineFiles(config: FleetConfig, nodes: readonly FleetNode[]): Promise<MachineFilesOf> {
  const machines = config.regions.flatMap((region) => {
    const runtime = runtimeOf(region, config);
    return runtime === undefined ? [] : [{ region, runtime }];
  });
  if (machines.length === 0) return new Map();
  const runtimes = machines.map(({ runtime }) => runtime);
  const archives = await fetchRuntimes(runtimes, runtimeCache, process.env);
  const updater = await updaterBundle();
  return new Map(
    machines.map(({ region, runtime }) => {
      const own = nodes.filter(({ regionCode }) => regionCode === region.code);
      const archive = archives.get(runtime.file) ?? Buffer.alloc(0);
      return [region.code, buildMachineFiles(region, own, updater, runtime, archive)];
    }),
  );
}

interface WrittenBundle {
  /** The region's code. */
  readonly region: string;
  /** Relative to the project's folder, with slashes. */
  readonly folder: string;
  readonly files: readonly ManifestFile[];
}

async function writeBundles(
  { root, stack }: StackFile,
  { regions, trustedKeys: all }: FleetConfig,
  nodes: readonly FleetNode[],
  relay: RelayBundle,
  machinesOf: MachineFilesOf,
  signingKey: KeyObject,
): Promise<WrittenBundle[]> {
  const written: WrittenBundle[] = [];
  for (const config of regions) {
    const { code: region, cloud } = config;
    const own = nodes.filter(({ regionCode }) => regionCode === region);
    const folder = `dist/bundles/${region}`;
    const machines = machinesOf.get(region);
    const trustedKeys = cloud === "local" ? undefined : all;
    const content = { ...configuredContent(config), stack, relay, machines, nodes: own, trustedKeys };
    const bundle = await publishRegionBundle(content, path.join(root, folder), signingKey);
    written.push({ region, folder, files: [...bundle].map(([name, bytes]) => describeFile(name, bytes)) });
  }
  return written;
}
