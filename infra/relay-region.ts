import * as pulumi from "@pulumi/pulumi";
import type { Cloud, PlannedNode } from "./clouds/cloud.ts";
import type { RegionConfig } from "./config/fleet.ts";
import type { PlannedRecord } from "./dns/dns.ts";
import { RelayNode, type RelayNodeArgs } from "./relay-node.ts";

export interface RelayRegionArgs extends Pick<RelayNodeArgs, "dns" | "boot" | "secretOf" | "after"> {
  readonly region: RegionConfig;
  /** Opened for this region. */
  readonly cloud: Cloud;
}

/** A region with all that its clients, and those who run its relays, need to know. */
export interface FleetRegion extends Pick<RegionConfig, "id" | "code" | "name" | "state"> {
  /** True if nobody waits until it serves. */
  readonly isUnproven: boolean;
  readonly nodes: readonly PlannedNode[];
}

/**
 * One DERP region: relays that stand in for each other, and what they share in their cloud.
 *
 * Its id names its resources, and each node's name that node's: neither the order in a list nor a new code or name for
 * people replaces anything.
 */
export class RelayRegion extends pulumi.ComponentResource {
  readonly region: FleetRegion;
  /** Of its nodes' names, whether somebody makes them or not. */
  readonly records: readonly PlannedRecord[];
  /** What its nodes run on. */
  readonly machines: readonly pulumi.Resource[];

  constructor(name: string, args: RelayRegionArgs, options?: pulumi.ComponentResourceOptions) {
    const { region, cloud, ...shared } = args;
    const { id, code, name: regionName, state, skipGate } = region;
    const providers = [...(cloud.providersOf?.(region) ?? [])];
    const given = providers.length === 0 ? options : { ...options, providers };
    super("derpkit:index:RelayRegion", name, { regionId: id, regionCode: code, regionName }, given);
    const site = cloud.createSite(region, name, { parent: this, protect: state !== "retired" });
    const nodes = region.nodes.map(
      (node) => new RelayNode(`${name}-${node.name}`, { node, region, site, ...shared }, { parent: this }),
    );
    for (const node of nodes) node.meet(nodes);
    const isUnproven = skipGate !== undefined;
    this.region = { code, id, isUnproven, name: regionName, nodes: nodes.map(({ node }) => node), state };
    this.records = nodes.flatMap(({ records }) => records);
    this.machines = nodes.flatMap(({ machine }) => machine);
    this.registerOutputs({ region: this.region });
  }
}
