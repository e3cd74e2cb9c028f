/** `npm run build`: the relay as one file, and what the package publishes. */
import path from "node:path";
import { KitError } from "../relay/errors.ts";
import { buildPackage } from "./build/package.ts";
import { buildRelayBundle, buildUpdaterBundle } from "../infra/delivery/relay-bundle.ts";
import { withStep } from "./cli/with-step.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";

export const command: Command = {
  name: "build",
  summary: "Build the relay as one file, and the package.",
  usage: "[--json]",
  about: [
    "dist/relay.mjs takes derper's flags and runs with nothing beside it; dist/relay.mjs.map is its source map.",
    "dist/updater.mjs keeps a machine's relay at what its region's manifest asks for.",
    "dist/infra, dist/relay and dist/scripts are what the published package holds.",
  ].join("\n"),
  flags: {},
  run,
};

async function run({ out }: CommandContext): Promise<ExitStatus> {
  if (!import.meta.filename.endsWith(".ts")) {
    throw new KitError("build-failed", {
      message: "The published package is built already.",
      fix: "Build in a clone of the sources.",
    });
  }
  const root = path.join(import.meta.dirname, "..");
  const relay = await withStep(out, "bundling the relay", () => buildRelayBundle(root));
  const updater = await withStep(out, "bundling the updater", () => buildUpdaterBundle(root));
  await withStep(out, "compiling the package", () =>
    buildPackage(root, path.join(root, "dist"), { relay, updater }),
  );

  const { code, sha256, version } = relay;
  out.line(`dist/relay.mjs  ${version}  ${code.length} bytes  SHA-256 ${sha256}`);
  out.document({ ok: true, relay: { path: "dist/relay.mjs", version, size: code.length, sha256 } });
  return 0;
}
