import * as pulumi from "@pulumi/pulumi";
import { buildRelayConfig } from "./bootstrap/relay-config.ts";
import type { Cloud, FleetNode, NodeFacts } from "./clouds/cloud.ts";

export interface RelayNodeArgs {
  /** Name of the node in the derpMap, unique in the tailnet. */
  readonly nodeName: string;
  readonly regionId: pulumi.Input<number>;
  readonly regionCode: pulumi.Input<string>;
  /** DNS name that clients connect to. */
  readonly hostName: pulumi.Input<string>;
  /** Opened for this node. */
  readonly cloud: Cloud;
}

/**
 * One relay: its machine, and the description by which everything else knows it.
 *
 * @example
 * const node = new RelayNode("derp-901-901a", {
 *   nodeName: "901a", regionId: 901, regionCode: "alfa", hostName: "901a.derp.example.com", cloud,
 * });
 */
export class RelayNode extends pulumi.ComponentResource {
  readonly node: pulumi.Output<FleetNode>;

  constructor(name: string, args: RelayNodeArgs, options?: pulumi.ComponentResourceOptions) {
    const { cloud, ...inputs } = args;
    super("derpkit:index:RelayNode", name, inputs, options);
    const facts = cloud.createMachine(args.nodeName, name, { parent: this });
    this.node = pulumi.output({ ...inputs, ...facts }).apply(buildFleetNode);
    this.registerOutputs({ node: this.node });
  }
}

/** Builds a node's description, keys sorted. */
function buildFleetNode(known: pulumi.Unwrap<Omit<RelayNodeArgs, "cloud"> & NodeFacts>): FleetNode {
  return {
    certName: known.certName,
    derpPort: known.derpPort,
    hostName: known.hostName,
    ipv4: known.ipv4,
    ipv6: known.ipv6,
    name: known.nodeName,
    regionCode: known.regionCode,
    regionId: known.regionId,
    relayConfig: buildRelayConfig(known),
    stunPort: known.stunPort,
  };
}
