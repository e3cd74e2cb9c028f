import * as pulumi from "@pulumi/pulumi";
import type { Cloud, FleetNode } from "./clouds/cloud.ts";
import { RelayNode } from "./relay-node.ts";

export interface RelayRegionArgs {
  /** 900-999, the range that Tailscale keeps for users' own regions. */
  readonly regionId: number;
  readonly regionCode: pulumi.Input<string>;
  /** Name of the region for people. */
  readonly regionName: pulumi.Input<string>;
  /** In the order in which clients try them. */
  readonly nodes: readonly RegionNodeArgs[];
  /** Opened for these nodes. */
  readonly cloud: Cloud;
}

export interface RegionNodeArgs {
  /** Name of the node in the derpMap, unique in the tailnet. It names the node's resources too: a new one is a new node. */
  readonly name: string;
  /** DNS name that clients connect to. */
  readonly hostName: pulumi.Input<string>;
}

/** A region with all that its clients, and those who run its relays, need to know. */
export interface FleetRegion {
  readonly id: number;
  readonly code: string;
  readonly name: string;
  readonly nodes: readonly FleetNode[];
}

/**
 * One DERP region: relays that stand in for each other.
 *
 * @example
 * const region = new RelayRegion("derp-901", {
 *   regionId: 901, regionCode: "alfa", regionName: "Alfa", cloud,
 *   nodes: [{ name: "901a", hostName: "901a.derp.example.com" }],
 * });
 */
export class RelayRegion extends pulumi.ComponentResource {
  readonly region: pulumi.Output<FleetRegion>;

  constructor(name: string, args: RelayRegionArgs, options?: pulumi.ComponentResourceOptions) {
    const { cloud, ...inputs } = args;
    super("derpkit:index:RelayRegion", name, inputs, options);
    const { regionId, regionCode, regionName } = inputs;
    const nodes = args.nodes.map(({ name: nodeName, hostName }) => {
      const nodeArgs = { nodeName, regionId, regionCode, hostName, cloud };
      return new RelayNode(`${name}-${nodeName}`, nodeArgs, { parent: this }).node;
    });
    this.region = pulumi.output({ code: regionCode, id: regionId, name: regionName, nodes });
    this.registerOutputs({ region: this.region });
  }
}
