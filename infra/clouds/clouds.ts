/** The clouds there are, by the name that a region's `cloud` gives. */
import type { FleetConfig } from "../config/fleet.ts";
import type { CloudName } from "../config/schema.ts";
import type { Cloud, CloudContext, NodeDescription, OpenCloud } from "./cloud.ts";
import { openLocalCloud } from "./local.ts";

const openers: Readonly<Record<CloudName, OpenCloud>> = { local: openLocalCloud };

/**
 * Opens every cloud that has a region of the fleet.
 *
 * @returns the cloud of a name; only of those names
 */
export async function openClouds(
  fleet: FleetConfig,
  context: CloudContext,
): Promise<(name: CloudName) => Cloud> {
  const open = new Map<CloudName, Cloud>();
  for (const name of new Set(fleet.regions.map(({ cloud }) => cloud))) {
    open.set(name, await openers[name](describeNodes(fleet, name), context));
  }
  return (name) => {
    const cloud = open.get(name);
    if (cloud === undefined) throw new Error(`the cloud ${name} has no region, so it was not opened`);
    return cloud;
  };
}

function describeNodes({ regions }: FleetConfig, cloud: CloudName): NodeDescription[] {
  return regions
    .filter((region) => region.cloud === cloud)
    .flatMap(({ id, code, nodes }) => nodes.map((node) => ({ ...node, regionId: id, regionCode: code })));
}
