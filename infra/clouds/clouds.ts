/** The clouds there are, by the name that a region's `cloud` gives. */
import type { FleetConfig } from "../config/fleet.ts";
import type { Cloud, CloudContext, OpenCloud } from "./cloud.ts";
import { openLocalCloud } from "./local.ts";
import type { CloudName } from "./places.ts";

/** A cloud's SDK is loaded where a region is in it: each is large, and most fleets need one. */
const openers: Readonly<Record<CloudName, () => Promise<OpenCloud>>> = {
  local: async () => openLocalCloud,
  aws: async () => (await import("./aws.ts")).openAwsCloud,
  hetzner: async () => (await import("./hetzner.ts")).openHetznerCloud,
};

/**
 * Opens every cloud that has a region of the fleet.
 *
 * @returns the cloud of a name; only of those names
 */
export async function openClouds(
  config: Pick<FleetConfig, "regions" | "awsProfiles">,
  context: CloudContext,
): Promise<(name: CloudName) => Cloud> {
  const open = new Map<CloudName, Cloud>();
  for (const [name, own] of Map.groupBy(config.regions, ({ cloud }) => cloud)) {
    open.set(name, await (await openers[name]())(own, context, config));
  }
  return (name) => {
    const cloud = open.get(name);
    if (cloud === undefined) throw new Error(`the cloud ${name} has no region, so it was not opened`);
    return cloud;
  };
}
