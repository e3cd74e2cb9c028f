/**
 * Hetzner Cloud. A region has a firewall, which a server has from its first boot on, and a spread placement group; a node
 * has a Primary IP of each family and a volume, which outlive its server.
 *
 * Rules of the cloud that are met here: a Primary IP or a volume is on one server at a time, so a server goes before its
 * successor comes; the IPv6 address is a network, of which the server has the first host; `datacenter` is no longer
 * taken; arm and x86 images have one name.
 */
import * as hcloud from "@pulumi/hcloud";
import type * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import type { NodeConfig, RegionConfig } from "../config/fleet.ts";
import type { Boot, CloudContext, NodeIdentity, OpenCloud, Site } from "./cloud.ts";
import { recordBoot } from "./boot-record.ts";
import { describeRefusal, requireToken } from "../provider.ts";
import { findSizeFault, type SizeOffer } from "./hetzner-sizes.ts";
import { hostInNetwork } from "./ipv6.ts";
import { openPorts, portsOf } from "./ports.ts";

const image = "debian-13";
/** GiB. The smallest that is sold; a node's keys and certificates take some kilobytes. */
const volumeSize = 10;
const everywhere = { ipv4: "0.0.0.0/0", ipv6: "::/0" } as const;

/**
 * Opens Hetzner Cloud.
 *
 * @throws KitError `cloud-credentials`, `cloud-unreachable`, or `size-unavailable` for machines that are not there yet
 */
export const openHetznerCloud = (async (regions, context) => {
  if (!context.offline) {
    requireToken(token);
    checkSizes(regions, await listOffers(), context);
  }
  return { createSite: (region, name, options) => createSite(region, name, context.stack, options) };
}) satisfies OpenCloud;

const token = {
  owner: "Hetzner Cloud",
  namespace: "hcloud",
  key: "token",
  variable: "HCLOUD_TOKEN",
  needs: "to read and write",
};

async function listOffers(): Promise<readonly SizeOffer[]> {
  try {
    return (await hcloud.getServerTypes()).serverTypes;
  } catch (cause) {
    throw new KitError("cloud-unreachable", {
      message: `Hetzner Cloud does not say what it sells: ${describeRefusal(cause)}`,
      fix: "Check the token (HCLOUD_TOKEN or hcloud:token) and the network, and try again.",
    });
  }
}

/** A machine that is there may have a size that is sold no more. */
function checkSizes(
  regions: readonly RegionConfig[],
  offers: readonly SizeOffer[],
  { previous, now }: CloudContext,
): void {
  const problems = regions.flatMap(({ id, location, size, nodes }) => {
    const isThere = nodes.every(({ name }) =>
      previous.some((node) => node.name === name && node.location === location && node.size === size),
    );
    const fault = isThere ? undefined : findSizeFault(size, location, offers, now);
    return fault === undefined ? [] : [{ path: `region ${id}`, message: fault }];
  });
  if (problems.length > 0) throw new KitError("size-unavailable", { problems });
}

/** What the nodes of a region share. */
interface Shared {
  readonly region: RegionConfig;
  readonly labels: Readonly<Record<string, string>>;
  readonly firewallId: pulumi.Output<number>;
  readonly placementGroupId: pulumi.Output<number>;
}

function createSite(
  region: RegionConfig,
  name: string,
  stack: string,
  options: pulumi.CustomResourceOptions,
): Site {
  const labels = { "derpkit-region": String(region.id), "derpkit-stack": stack };
  const firewall = createFirewall(region, `${name}-firewall`, labels, options);
  const group = new hcloud.PlacementGroup(`${name}-spread`, { type: "spread", labels }, options);
  const shared = { region, labels, firewallId: idOf(firewall), placementGroupId: idOf(group) };
  return { createIdentity: (node, prefix, own) => createIdentity(node, prefix, shared, own) };
}

function createFirewall(
  { addresses, http, nodes, peerRelayPort }: RegionConfig,
  name: string,
  labels: Shared["labels"],
  options: pulumi.CustomResourceOptions,
): hcloud.Firewall {
  const { tcp, udp } = openPorts(nodes);
  const sourceIps = addresses.map((family) => everywhere[family]).sort();
  const open = (protocol: "tcp" | "udp", port: number, description: string) => ({
    direction: "in",
    protocol,
    port: String(port),
    sourceIps,
    description,
  });
  const rules = [
    ...tcp.map((port) => open("tcp", port, "DERP")),
    ...(http ? [open("tcp", 80, "HTTP")] : []),
    ...udp.map((port) => open("udp", port, "STUN")),
    ...(peerRelayPort === undefined ? [] : [open("udp", peerRelayPort, "peer relay")]),
    // Echo and path-MTU errors cannot be told apart here; a machine that is not to answer ping says so itself.
    { direction: "in", protocol: "icmp", sourceIps, description: "path MTU and ping" },
  ];
  return new hcloud.Firewall(name, { labels, rules }, options);
}

function createIdentity(
  node: NodeConfig,
  prefix: string,
  shared: Shared,
  options: pulumi.CustomResourceOptions,
): NodeIdentity {
  const { addresses, location } = shared.region;
  const labels = { ...shared.labels, "derpkit-node": node.name };
  const reserve = (type: "ipv4" | "ipv6"): hcloud.PrimaryIp | undefined => {
    if (!addresses.includes(type)) return undefined;
    const args = { type, location, assigneeType: "server", autoDelete: false, labels };
    return new hcloud.PrimaryIp(`${prefix}-${type}`, args, options);
  };
  const [v4, v6] = [reserve("ipv4"), reserve("ipv6")];
  const [ipv4, ipv6] = [v4?.ipAddress, v6?.ipNetwork.apply(hostInNetwork)];
  const volume = new hcloud.Volume(`${prefix}-volume`, { location, size: volumeSize, labels }, options);
  createReverse(node, `${prefix}-reverse-ipv4`, v4, ipv4, options);
  createReverse(node, `${prefix}-reverse-ipv6`, v6, ipv6, options);
  const ports = portsOf(node);
  return {
    ...ports,
    ipv4: ipv4 ?? "none",
    ipv6: ipv6 ?? "none",
    listen: `:${ports.derpPort}`,
    createMachine: (boot, machine) =>
      createServer(boot, prefix, { ...shared, labels }, { v4, v6, volume }, machine),
  };
}

/** The address leads back to the node's name, if it has one. */
function createReverse(
  { hostName }: NodeConfig,
  name: string,
  ip: hcloud.PrimaryIp | undefined,
  ipAddress: pulumi.Input<string> | undefined,
  options: pulumi.CustomResourceOptions,
): void {
  if (hostName === undefined || ip === undefined || ipAddress === undefined) return;
  const reverse = { primaryIpId: idOf(ip), ipAddress, dnsPtr: hostName };
  new hcloud.Rdns(name, reverse, { ...options, protect: false });
}

/** What a server is given, and leaves behind. */
interface Belongings {
  readonly v4: hcloud.PrimaryIp | undefined;
  readonly v6: hcloud.PrimaryIp | undefined;
  readonly volume: hcloud.Volume;
}

function createServer(
  { userData, after }: Boot,
  prefix: string,
  { region, labels, firewallId, placementGroupId }: Shared,
  { v4, v6, volume }: Belongings,
  options: pulumi.CustomResourceOptions,
): readonly pulumi.Resource[] {
  const { code, generation, location, size } = region;
  const device = volume.linuxDevice;
  const wanted = device.apply((known) => ({ image, userData: userData(known) }));
  const boot = recordBoot(prefix, generation, wanted, options);
  // An address and a volume are on one server at a time.
  const first = { ...options, deleteBeforeReplace: true };
  const server = new hcloud.Server(
    `${prefix}-server`,
    {
      serverType: size,
      location,
      image: boot.apply((made) => made.image),
      userData: boot.apply((made) => made.userData),
      firewallIds: [firewallId],
      placementGroupId,
      publicNets: [
        {
          ipv4Enabled: v4 !== undefined,
          ...(v4 === undefined ? {} : { ipv4: idOf(v4) }),
          ipv6Enabled: v6 !== undefined,
          ...(v6 === undefined ? {} : { ipv6: idOf(v6) }),
        },
      ],
      shutdownBeforeDeletion: true,
      // A disk that has grown with the type would keep the server from ever having a smaller one again.
      keepDisk: true,
      labels: { ...labels, "derpkit-region-code": code },
    },
    { ...first, dependsOn: [...after], ignoreChanges: ["sshKeys"] },
  );
  const attachment = { volumeId: idOf(volume), serverId: idOf(server), automount: false };
  return [server, new hcloud.VolumeAttachment(`${prefix}-attachment`, attachment, first)];
}

/** Ids are numbers to the API and text to Pulumi. */
function idOf({ id }: pulumi.CustomResource): pulumi.Output<number> {
  return id.apply(Number);
}
