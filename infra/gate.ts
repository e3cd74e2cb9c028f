/** What has to be shown of a region before the next wave is changed: a command that `up` runs, and waits for. */
import * as pulumi from "@pulumi/pulumi";
import type { FleetConfig } from "./config/fleet.ts";
import type { Release } from "./delivery/delivery.ts";
import type { RelayBundle } from "./delivery/relay-bundle.ts";
import { buildDerpMap, isPublished } from "./derpmap/build.ts";
import type { FleetRegion } from "./relay-region.ts";

export interface Gate {
  /**
   * Declares a region's gate.
   *
   * @param options with what has to be there before, as dependencies
   * @returns what the next wave waits for
   */
  createGate(
    region: FleetRegion,
    expected: GateExpectation,
    name: string,
    options: pulumi.CustomResourceOptions,
  ): readonly pulumi.Resource[];
}

export interface GateExpectation {
  /** Another one is another machine, which has to be waited for as at first. */
  readonly generation: number;
  /** What the region is delivered; undefined where it is not the stack that puts it there. */
  readonly release: pulumi.Output<Release> | undefined;
}

/** Nothing is asked. */
export const noGate: Gate = { createGate: () => [] };

/**
 * Makes the gate of a fleet.
 *
 * Whatever differs between two machines or two moments would show as a change, so the command names no path, host or time:
 * it is told by its standard input what to expect, and runs again when that changes.
 *
 * @param bundle the relay that every node has to run
 */
export async function openGate(
  { gate, verify }: Pick<FleetConfig, "gate" | "verify">,
  bundle: () => Promise<Pick<RelayBundle, "sha256">>,
): Promise<Gate> {
  if (gate === "skip") return noGate;
  const { local } = await import("@pulumi/command");
  const { sha256 } = await bundle();
  return {
    createGate(region, { generation, release }, name, options) {
      // A node whose pin nobody knows cannot be told from another; its region is in no map until then.
      if (!isPublished(region)) return [];
      const derpMap = buildDerpMap([region]);
      const sequence = release?.apply((published) => published.sequence) ?? null;
      const expected = { derpMap, bundle: sha256, sequence, require: verify.require };
      const stdin = pulumi.output(expected).apply(renderInput);
      const run = (minutes: number): string =>
        `${runner} gate ${isSource ? "-- " : ""}${region.code} --within ${minutes}m`;
      const args = {
        create: run(verify.firstBootMinutes),
        update: run(verify.upgradeMinutes),
        stdin,
        // Another generation is a first boot: the gate is made anew, not updated.
        triggers: [generation],
      };
      return [new local.Command(`${name}-gate`, args, options)];
    },
  };
}

/** In a clone npm knows the command; beside somebody's own program it is the package's. */
const isSource = import.meta.filename.endsWith(".ts");
const runner = isSource ? "npm run --silent" : "npx --no-install derpkit";

function renderInput(expected: object): string {
  return `${JSON.stringify(expected, null, 2)}\n`;
}
