/** What happens to a region when its machines are declared: it is delivered its release and its secrets, and has to show both. */
import * as pulumi from "@pulumi/pulumi";
import { secretChannelOf } from "./clouds/secret-channel.ts";
import { isClosed, type RegionConfig } from "./config/fleet.ts";
import type { PublishedRelease, Release, ReleaseStore } from "./delivery/delivery.ts";
import type { Gate, LearnedKeys } from "./gate.ts";
import type { RelayRegion } from "./relay-region.ts";
import { secretsOf } from "./secrets.ts";

export interface RollOutOptions {
  /** Undefined where it is not the stack that delivers. */
  readonly store: ReleaseStore | undefined;
  readonly gate: Gate;
  readonly secretOf: (key: string) => pulumi.Output<string>;
  /** What has to be shown before: the gates of earlier waves. */
  readonly after: readonly pulumi.Resource[];
}

/** What a region was given, and what the next wave waits for. */
export interface RolledOut {
  /** By the region's code, and of what is sealed to a node by `<code>/<node>`. */
  readonly releases: readonly (readonly [name: string, release: pulumi.Output<Release>])[];
  readonly gates: readonly pulumi.Resource[];
}

/**
 * Declares a region's release, what learns its relays' keys and what is sealed to them, and its gate.
 *
 * @param name prefix of the resources' names
 */
export function rollOut(
  component: RelayRegion,
  config: RegionConfig,
  options: RollOutOptions,
  name: string,
): RolledOut {
  const { store, gate, after } = options;
  const { region, machines } = component;
  const published = store?.publish(config, region.nodes, after);
  const before = [...machines, ...(published?.resources ?? [])];
  const sealed = sealSecrets(component, config, before, options, name);
  const expected = {
    generation: config.generation,
    closed: isClosed(config),
    release: published?.release,
    secrets: new Map([...sealed].map(([node, { release }]) => [node, release])),
  };
  const dependsOn = [...before, ...[...sealed.values()].flatMap(({ resources }) => resources)];
  return {
    releases: [
      ...(published === undefined ? [] : [[config.code, published.release] as const]),
      ...[...sealed].map(([node, { release }]) => [`${config.code}/${node}`, release] as const),
    ],
    gates: gate.createGate(region, expected, name, { parent: component, dependsOn }),
  };
}

/** Seals a region's secrets to its nodes, by their names, where that is how they get them. */
function sealSecrets(
  component: RelayRegion,
  config: RegionConfig,
  before: readonly pulumi.Resource[],
  { store, gate, secretOf, after }: RollOutOptions,
  name: string,
): ReadonlyMap<string, PublishedRelease> {
  const secrets = secretsOf(config, secretOf);
  if (store === undefined || secrets.size === 0 || secretChannelOf(config.cloud) !== "sealed")
    return new Map();
  const behind = { parent: component, dependsOn: [...before] };
  const learned = gate.learnKeys(component.region, config.generation, name, behind);
  if (learned === undefined) return new Map();
  return new Map(
    config.nodes.map(({ name: node }) => {
      const waited = [learned.resource, ...after];
      return [node, store.seal(config, node, keyOf(learned, node), secrets, waited)];
    }),
  );
}

function keyOf({ keys }: LearnedKeys, node: string): pulumi.Output<string> {
  return keys.apply((all) => {
    const key = all[node];
    if (key === undefined) throw new pulumi.RunError(`node ${node} has not told its relay's key`);
    return key;
  });
}
