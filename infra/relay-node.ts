import * as pulumi from "@pulumi/pulumi";
import { updaterStatusFile } from "../relay/agent/places.ts";
import { renderMeshWith } from "../relay/config/mesh.ts";
import { type BootSettings, renderCloudInit } from "./bootstrap/cloud-init.ts";
import { listMeshEntries, type MeshPlace } from "./bootstrap/mesh.ts";
import { buildRelayConfig } from "./bootstrap/relay-config.ts";
import type { NodeIdentity, PlannedNode, Site } from "./clouds/cloud.ts";
import { secretChannelOf } from "./clouds/secret-channel.ts";
import type { NodeConfig, RegionConfig } from "./config/fleet.ts";
import type { Dns, PlannedRecord } from "./dns/dns.ts";
import { pendingPin } from "./derpmap/build.ts";
import { planRecords } from "./dns/records.ts";
import { secretsOf } from "./secrets.ts";

/** What every machine of the fleet boots with. */
export type FleetBoot = Pick<BootSettings, "stack" | "trustedKeys" | "deliveryUrl">;

export interface RelayNodeArgs {
  readonly node: NodeConfig;
  readonly region: RegionConfig;
  /** The region's part of its cloud. */
  readonly site: Site;
  readonly dns: Dns;
  readonly boot: FleetBoot;
  /** A secret of the stack's configuration, by its key. */
  readonly secretOf: (key: string) => pulumi.Output<string>;
  /** What has to be shown before this node's machine is changed: the gates of earlier waves. */
  readonly after: readonly pulumi.Resource[];
}

/**
 * One relay: its identity, its DNS records, its machine, and the description by which everything else knows it.
 *
 * The machine is declared last, so that it boots when its name leads to it already.
 */
export class RelayNode extends pulumi.ComponentResource {
  readonly #args: RelayNodeArgs;
  readonly #identity: NodeIdentity;
  #node: PlannedNode;
  /** Of the node's name, whether somebody makes them or not. */
  readonly records: readonly PlannedRecord[];
  /** What it runs on: none where the cloud has no machines. */
  readonly machine: readonly pulumi.Resource[];

  constructor(name: string, args: RelayNodeArgs, options?: pulumi.ComponentResourceOptions) {
    const { node, region, site, dns } = args;
    super("derpkit:index:RelayNode", name, { nodeName: node.name, regionId: region.id }, options);
    const kept = { parent: this, protect: region.state !== "retired" };
    const identity = site.createIdentity(node, name, kept);
    this.records = listRecords(args, identity);
    const served = this.records.filter((record) => dns.serves(record.name));
    const after = [...dns.createRecords(served, name, kept), ...args.after];
    const userData = (volumeDevice: string): string => renderUserData(args, volumeDevice);
    const secrets =
      secretChannelOf(region.cloud) === "instance" ? secretsOf(region, args.secretOf) : new Map();
    const boot = { userData, after, secrets };
    this.machine = identity.createMachine?.(boot, { parent: this }) ?? [];
    this.#args = args;
    this.#identity = identity;
    this.#node = describe(node, region, identity, []);
  }

  get node(): PlannedNode {
    return this.#node;
  }

  /** Tells the node of its region, itself among it, once all of that is declared: its description is complete then. */
  meet(all: readonly RelayNode[]): void {
    const { node, region } = this.#args;
    const others = all.filter((other) => other !== this).map((other) => other.#place());
    this.#node = describe(node, region, this.#identity, others);
    this.registerOutputs({ node: this.#node });
  }

  #place(): MeshPlace<pulumi.Input<string>> {
    const { certificates } = this.#args.region;
    const { hostName, derpPort, certName } = this.#node;
    return {
      certificates,
      hostName,
      address: addressOf(this.#args.region, this.#identity),
      derpPort,
      certName,
    };
  }
}

/** A local relay is found by its address alone, and one that is called by its address has no name to make records of. */
function listRecords({ node, region, dns }: RelayNodeArgs, { ipv4, ipv6 }: NodeIdentity): PlannedRecord[] {
  if (node.hostName === undefined || region.cloud === "local") return [];
  const addresses = {
    ...(region.addresses.includes("ipv4") ? { A: ipv4 } : {}),
    ...(region.addresses.includes("ipv6") ? { AAAA: ipv6 } : {}),
  };
  return planRecords(node.hostName, addresses, region, dns.ttl);
}

/** Where the node is found: by its IPv4 address if it has one. */
function addressOf({ addresses }: RegionConfig, { ipv4, ipv6 }: NodeIdentity): pulumi.Input<string> {
  return addresses.includes("ipv4") ? ipv4 : ipv6;
}

function renderUserData({ node, region, boot }: RelayNodeArgs, volumeDevice: string): string {
  return renderCloudInit({
    ...boot,
    deliveryUrl: `${boot.deliveryUrl.replace(/\/$/, "")}/${region.code}`,
    region: region.code,
    node: node.name,
    generation: region.generation,
    icmpEcho: region.icmpEcho,
    volumeDevice,
  });
}

/** Describes a node, keys sorted. */
function describe(
  { name, hostName: given, pin }: NodeConfig,
  region: RegionConfig,
  identity: NodeIdentity,
  others: readonly MeshPlace<pulumi.Input<string>>[],
): PlannedNode {
  const { certName, derpPort, stunPort, listen, ipv4, ipv6 } = identity;
  const { meshKeyFile } = identity;
  const hostName = given ?? addressOf(region, identity);
  const mesh = region.mesh === undefined && meshKeyFile === undefined ? [] : listMeshEntries(others);
  const addresses = pulumi
    .all([ipv4, ipv6])
    .apply((all) => all.filter((address) => address !== "none").join(","));
  return {
    certName: certName ?? (region.certificates === "pinned" ? (pin ?? pendingPin) : ""),
    derpPort,
    hostName,
    ipv4,
    ipv6,
    location: region.location,
    name,
    regionCode: region.code,
    regionId: region.id,
    relayConfig: buildRelayConfig<pulumi.Input<string>>({
      hostName,
      listen,
      stunPort,
      certificates: region.certificates,
      addresses,
      http: region.http,
      admission: region.admission,
      clientRate: region.clientRate,
      mesh: region.mesh,
      statusToken: region.statusToken,
      secretChannel: secretChannelOf(region.cloud),
      meshKeyFile,
      meshWith: mesh.length === 0 ? undefined : pulumi.output(mesh).apply(renderMeshWith),
      updaterStatusFile: region.cloud === "local" ? undefined : updaterStatusFile,
    }),
    size: region.size,
    state: region.state,
    stunPort,
  };
}
