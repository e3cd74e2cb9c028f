/** The Pulumi program: configuration in, fleet and derpMap out. It starts no process. */
import * as pulumi from "@pulumi/pulumi";
import type { CloudContext, FleetNode } from "./clouds/cloud.ts";
import { openClouds } from "./clouds/clouds.ts";
import { parseFleetConfig } from "./config/parse.ts";
import type { DerpMap } from "./derpmap/derp-map.ts";
import { RelayFleet, type RelayFleetArgs } from "./relay-fleet.ts";

export interface ProgramContext extends CloudContext {
  /** Whose configuration it is, for messages: a file or a stack. */
  readonly where: string;
  /** Keys of the configuration, with namespace, whose value is or holds a secret. */
  readonly secretKeys: ReadonlySet<string>;
}

export interface ProgramOutputs {
  readonly derpMap: pulumi.Output<DerpMap>;
  readonly nodes: pulumi.Output<FleetNode[]>;
}

/**
 * Reads the stack's configuration and opens its clouds, before any resource is declared.
 *
 * @throws KitError `config-invalid`, and whatever the clouds find wrong
 */
export async function prepareFleet(context: ProgramContext): Promise<RelayFleetArgs> {
  const { where, secretKeys } = context;
  const fleet = parseFleetConfig({ where, secretKeys, values: pulumi.runtime.allConfig() });
  for (const { id, nodes } of fleet.regions.filter((region) => region.nodes.length > 1)) {
    context.log.warn(
      `region ${id} has ${nodes.length} nodes, and relays of this version do not mesh: clients on different nodes of it ` +
        "do not reach each other",
    );
  }
  const cloudOf = await openClouds(fleet, context);
  return {
    regions: fleet.regions.map(({ id, code, name, cloud, nodes }) => ({
      regionId: id,
      regionCode: code,
      regionName: name,
      nodes,
      cloud: cloudOf(cloud),
    })),
  };
}

/** Declares the fleet's resources. Runs inside a Pulumi stack. */
export function declareFleet(args: RelayFleetArgs): ProgramOutputs {
  const { derpMap, nodes } = new RelayFleet("derp", args);
  return { derpMap, nodes };
}
