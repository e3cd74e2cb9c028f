import * as pulumi from "@pulumi/pulumi";
import type { FleetNode } from "./clouds/cloud.ts";
import { buildDerpMap } from "./derpmap/build.ts";
import type { DerpMap } from "./derpmap/derp-map.ts";
import { RelayRegion, type RelayRegionArgs } from "./relay-region.ts";

export interface RelayFleetArgs {
  /** In any order: the derpMap sorts them by id. */
  readonly regions: readonly RelayRegionArgs[];
}

/**
 * A fleet of DERP relays in one or more regions, and the derpMap that tells a tailnet of them.
 *
 * @example
 * const fleet = new RelayFleet("derp", {
 *   regions: [
 *     {
 *       regionId: 901,
 *       regionCode: "alfa",
 *       regionName: "Alfa",
 *       nodes: [{ name: "901a", hostName: "901a.derp.example.com" }],
 *       cloud,
 *     },
 *   ],
 * });
 * export const derpMap = fleet.derpMap;
 */
export class RelayFleet extends pulumi.ComponentResource {
  readonly derpMap: pulumi.Output<DerpMap>;
  /** Every node, by region id and then in the region's order. */
  readonly nodes: pulumi.Output<FleetNode[]>;

  constructor(name: string, args: RelayFleetArgs, options?: pulumi.ComponentResourceOptions) {
    super("derpkit:index:RelayFleet", name, {}, options);
    const regions = pulumi.all(
      args.regions
        .toSorted((a, b) => a.regionId - b.regionId)
        .map((region) => new RelayRegion(`${name}-${region.regionId}`, region, { parent: this }).region),
    );
    this.derpMap = regions.apply(buildDerpMap);
    this.nodes = regions.apply((all) => all.flatMap(({ nodes }) => nodes));
    this.registerOutputs({ derpMap: this.derpMap, nodes: this.nodes });
  }
}
