/** `npm run bundle`: what each region of a stack has to be delivered, ready to be uploaded. */
import path from "node:path";
import type { FleetNode } from "../infra/clouds/cloud.ts";
import { KitError } from "../relay/errors.ts";
import { describeFile, type ManifestFile } from "../relay/updater/manifest.ts";
import { publishRegionBundle } from "./build/region-bundle.ts";
import { type RelayBundle, relayBundle } from "./build/relay-bundle.ts";
import { loadSigningKey, signingKeyFile } from "./build/signing-key.ts";
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
    "Writes dist/bundles/<region code>/: relay.mjs, config/<node>.json, manifest.json and manifest.sig. Upload a folder's",
    "manifest last. A bundle whose content did not change keeps its sequence, and with it every byte.",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "stack name or path of a stack file; default local" },
  },
  run,
};

async function run({ flags, out }: CommandContext): Promise<ExitStatus> {
  const stackFile = await resolveStack(typeof flags["stack"] === "string" ? flags["stack"] : undefined);
  const { nodes } = await runProgram(stackFile, (message) => out.note(`warning: ${message}`));
  requireKnown(nodes);
  const relay = await withStep(out, "bundling the relay", relayBundle);
  const regions = await withStep(out, "writing the bundles", () => writeBundles(stackFile, nodes, relay));

  const rows = regions.flatMap(({ folder, files }) =>
    files.map(({ path: file, sha256, size }) => [path.posix.join(folder, file), String(size), sha256]),
  );
  out.line(renderTable(["file", "bytes", "SHA-256"], rows));
  out.document({ ok: true, stack: stackFile.stack, version: relay.version, regions });
  return 0;
}

/** @throws KitError `not-up-yet` */
function requireKnown(nodes: readonly FleetNode[]): void {
  const open = nodes.filter(({ relayConfig }) => JSON.stringify(relayConfig).includes(knownAfterUp));
  if (open.length === 0) return;
  throw new KitError("not-up-yet", {
    problems: open.map(({ name }) => ({
      path: `node ${name}`,
      message: "is called by its address, which its configuration has to name",
    })),
  });
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
  nodes: readonly FleetNode[],
  relay: RelayBundle,
): Promise<WrittenBundle[]> {
  const signingKey = await loadSigningKey(signingKeyFile(root, stack));
  const written: WrittenBundle[] = [];
  for (const [region, own] of Map.groupBy(nodes, (node) => node.regionCode)) {
    const folder = `dist/bundles/${region}`;
    const content = { stack, region, relay, nodes: own };
    const bundle = await publishRegionBundle(content, path.join(root, folder), signingKey);
    written.push({ region, folder, files: [...bundle].map(([name, bytes]) => describeFile(name, bytes)) });
  }
  return written;
}
