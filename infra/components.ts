/** What the package offers to other Pulumi programs. */
export type {
  Cloud,
  CloudContext,
  FleetNode,
  NodeDescription,
  NodeFacts,
  OpenCloud,
} from "./clouds/cloud.ts";
export { openLocalCloud } from "./clouds/local.ts";
export { buildDerpMap } from "./derpmap/build.ts";
export type { DerpMap, DerpNode, DerpRegion } from "./derpmap/derp-map.ts";
export { RelayFleet, type RelayFleetArgs } from "./relay-fleet.ts";
export { RelayNode, type RelayNodeArgs } from "./relay-node.ts";
export { type FleetRegion, RelayRegion, type RegionNodeArgs, type RelayRegionArgs } from "./relay-region.ts";
