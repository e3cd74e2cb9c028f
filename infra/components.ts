/** What the package offers to other Pulumi programs. */
export type {
  Boot,
  Cloud,
  CloudContext,
  FleetNode,
  NodeFacts,
  NodeIdentity,
  OpenCloud,
  PlannedNode,
  PreviousNode,
  Site,
} from "./clouds/cloud.ts";
export { openLocalCloud } from "./clouds/local.ts";
export type { CloudName } from "./clouds/places.ts";
export type { FleetConfig, NodeConfig, RegionConfig } from "./config/fleet.ts";
export { createFleet } from "./create-fleet.ts";
export { buildDerpMap, type MapPolicy } from "./derpmap/build.ts";
export { checkDerpMap } from "./derpmap/check.ts";
export type { DerpMap, DerpNode, DerpRegion } from "./derpmap/derp-map.ts";
export { type Dns, type DnsRecord, noDns, type PlannedRecord } from "./dns/dns.ts";
export {
  type Delivery,
  operatorsDelivery,
  type PublishedRelease,
  type Release,
  type ReleaseStore,
} from "./delivery/delivery.ts";
export type { ProgramOutputs } from "./program.ts";
export { RelayFleet, type RelayFleetArgs, type UnverifiedRegion } from "./relay-fleet.ts";
export { type FleetBoot, RelayNode, type RelayNodeArgs } from "./relay-node.ts";
export { type FleetRegion, RelayRegion, type RelayRegionArgs } from "./relay-region.ts";
