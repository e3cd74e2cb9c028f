/** What has to be shown of a region before the next wave is changed: a command that `up` runs, and waits for. */
import * as pulumi from "@pulumi/pulumi";
import * as v from "valibot";
import type { FleetConfig } from "./config/fleet.ts";
import type { Release } from "./delivery/delivery.ts";
import type { RelayBundle } from "./delivery/relay-bundle.ts";
import { buildDerpMap, isPublished } from "./derpmap/build.ts";
import type { FleetRegion } from "./relay-region.ts";

export interface Gate {
  /** True if no region has to show anything, so that nobody knows whether it serves. */
  readonly asksNothing?: boolean;
  /**
   * Declares what learns the keys of a region's relays, to which secrets can be sealed. Undefined where nobody waits for
   * the region.
   *
   * @param options with what has to be there before, as dependencies
   */
  learnKeys(
    region: FleetRegion,
    generation: number,
    name: string,
    options: pulumi.CustomResourceOptions,
  ): LearnedKeys | undefined;
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

export interface LearnedKeys {
  /** 64 hex digits, by the node's name. */
  readonly keys: pulumi.Output<Readonly<Record<string, string>>>;
  readonly resource: pulumi.Resource;
}

export interface GateExpectation {
  /** Another one is another machine, which has to be waited for as at first. */
  readonly generation: number;
  /** True if the relays let in only those they know. */
  readonly closed: boolean;
  /** What the region is delivered; undefined where it is not the stack that puts it there. */
  readonly release: pulumi.Output<Release> | undefined;
  /** What is sealed to its nodes, by their names. */
  readonly secrets: ReadonlyMap<string, pulumi.Output<Release>>;
}

/** Nothing is asked. */
export const noGate: Gate = { asksNothing: true, learnKeys: () => undefined, createGate: () => [] };

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
  const { require } = verify;

  /** @param args of the command beside those of every gate */
  function run(
    { code }: FleetRegion,
    args: string,
    expected: object,
    generation: number,
    name: string,
    options: pulumi.CustomResourceOptions,
  ): InstanceType<typeof local.Command> {
    const within = (minutes: number): string =>
      `${runner} gate ${isSource ? "-- " : ""}${code} ${args}--within ${minutes}m`;
    return new local.Command(
      name,
      {
        create: within(verify.firstBootMinutes),
        update: within(verify.upgradeMinutes),
        stdin: pulumi.output(expected).apply(renderInput),
        // Another generation is a first boot: the gate is made anew, not updated.
        triggers: [generation],
      },
      options,
    );
  }

  return {
    learnKeys(region, generation, name, options) {
      if (!isPublished(region)) return undefined;
      const expected = { derpMap: buildDerpMap([region]), bundle: null, require };
      const resource = run(region, "--keys ", expected, generation, `${name}-keys`, options);
      return { resource, keys: resource.stdout.apply((json) => v.parse(keysSchema, JSON.parse(json))) };
    },
    createGate(region, { generation, closed, release, secrets }, name, options) {
      // A node whose pin nobody knows cannot be told from another; its region is in no map until then.
      if (!isPublished(region)) return [];
      const expected = {
        derpMap: buildDerpMap([region]),
        bundle: sha256,
        sequence: release === undefined ? null : sequenceOf(release),
        ...(secrets.size === 0
          ? {}
          : { secrets: Object.fromEntries([...secrets].map(([node, of]) => [node, sequenceOf(of)])) }),
        ...(closed ? { closed } : {}),
        require,
      };
      return [run(region, "", expected, generation, `${name}-gate`, options)];
    },
  };
}

function sequenceOf(release: pulumi.Output<Release>): pulumi.Output<number> {
  return release.apply(({ sequence }) => sequence);
}

const keysSchema = v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)));

/** In a clone npm knows the command; beside somebody's own program it is the package's. */
const isSource = import.meta.filename.endsWith(".ts");
const runner = isSource ? "npm run --silent" : "npx --no-install derpkit";

function renderInput(expected: object): string {
  return `${JSON.stringify(expected, null, 2)}\n`;
}
