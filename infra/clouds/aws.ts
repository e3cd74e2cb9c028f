/**
 * AWS. A region has a network of its own with IPv6, a subnet in each zone, and a security group; a node has a network
 * interface with a fixed IPv6 address, an Elastic IP and an encrypted volume, which outlive its instance.
 *
 * Rules of the cloud that are met here: an interface and a volume are on one instance at a time, so an instance goes before
 * its successor comes; a group that says nothing of going out lets nothing out; changed user data does not run again on
 * an instance, so it is a new one; rules are resources of their own, one for each family.
 */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import type { RegionConfig } from "../config/fleet.ts";
import {
  architectureOf,
  chooseZones,
  networkRange,
  subnetRange,
  subnetRange6,
  volumeDevice,
} from "./aws-network.ts";
import { recordBoot } from "./boot-record.ts";
import type { Boot, NodeIdentity, OpenCloud, Site } from "./cloud.ts";
import { openPorts, portsOf } from "./ports.ts";

/** Debian's own account, which publishes its images. */
const debian = "136693071363";
/** GiB. The smallest that is sold; a node's keys and certificates take some kilobytes. */
const volumeSize = 1;

/**
 * Opens AWS.
 *
 * @throws KitError `cloud-unreachable` with what AWS says, of missing credentials too
 */
export const openAwsCloud = (async (regions, { offline, stack }) => {
  const zonesOf = new Map<string, readonly string[]>();
  for (const { location } of regions) {
    zonesOf.set(location, offline ? guessZones(location) : await listZones(location));
  }
  return {
    createSite: (region, name, options) =>
      createSite(region, name, stack, zonesOf.get(region.location) ?? [], options),
  };
}) satisfies OpenCloud;

/** Nearly every region has these. */
function guessZones(location: string): readonly string[] {
  return ["a", "b", "c"].map((letter) => location + letter);
}

/** A region's own zones: local zones are elsewhere, in another country maybe. */
async function listZones(location: string): Promise<readonly string[]> {
  try {
    const filters = [{ name: "opt-in-status", values: ["opt-in-not-required"] }];
    const { names } = await aws.getAvailabilityZones({ region: location, state: "available", filters });
    return names.toSorted();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new KitError("cloud-unreachable", {
      message: `AWS does not tell the zones of ${location}: ${text.split("\n", 1)[0]}`,
      fix: "Check the credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), AWS_REGION, and that the region is enabled.",
    });
  }
}

/** A source of each family. */
const everywhere = { ipv4: { cidrIpv4: "0.0.0.0/0" }, ipv6: { cidrIpv6: "::/0" } } as const;

/** ICMP by its types and codes; -1 stands for all. Path-MTU errors are never turned off. */
const icmp = {
  ipv4: { ipProtocol: "icmp", mtu: { fromPort: 3, toPort: 4 }, echo: { fromPort: 8, toPort: -1 } },
  ipv6: { ipProtocol: "icmpv6", mtu: { fromPort: 2, toPort: -1 }, echo: { fromPort: 128, toPort: -1 } },
} as const;

function createSite(
  config: RegionConfig,
  name: string,
  stack: string,
  zones: readonly string[],
  options: pulumi.CustomResourceOptions,
): Site {
  const { id, location: region, size, addresses, generation, nodes } = config;
  const tags = { "derpkit-region": String(id), "derpkit-stack": stack };
  const zoneOf = chooseZones(
    nodes.map((node) => node.name),
    zones,
  );
  const { subnets, routes, vpcId } = createNetwork(
    config,
    name,
    tags,
    [...new Set(zoneOf.values())],
    options,
  );
  const group = createGroup(config, name, tags, vpcId, options);

  return {
    createIdentity(node, prefix, own): NodeIdentity {
      const nodeTags = { ...tags, "derpkit-node": node.name, Name: prefix };
      const zone = zoneOf.get(node.name) ?? "";
      const subnet = subnets.get(zone);
      if (subnet === undefined) throw new Error(`the node ${node.name} is in no zone of ${region}`);
      const ports = portsOf(node);
      const nic = new aws.ec2.NetworkInterface(
        `${prefix}-interface`,
        {
          region,
          subnetId: subnet.id,
          securityGroups: [group.id],
          description: `derpkit ${prefix}`,
          ...(addresses.includes("ipv6") ? { ipv6AddressCount: 1 } : {}),
          tags: nodeTags,
        },
        own,
      );
      const eip = addresses.includes("ipv4")
        ? new aws.ec2.Eip(
            `${prefix}-ipv4`,
            { region, domain: "vpc", networkInterface: nic.id, tags: nodeTags },
            // Without a way out of the network there is nothing that the address could be for.
            { ...own, dependsOn: routes },
          )
        : undefined;
      const volume = new aws.ebs.Volume(
        `${prefix}-volume`,
        { region, availabilityZone: zone, size: volumeSize, type: "gp3", encrypted: true, tags: nodeTags },
        own,
      );
      const createMachine = ({ userData, after }: Boot, machine: pulumi.CustomResourceOptions): void => {
        const first = { ...machine, deleteBeforeReplace: true };
        const boot = recordBoot(
          prefix,
          generation,
          pulumi
            .all([findImage(region, size), volume.id])
            .apply(([ami, volumeId]) => ({ ami, userData: userData(volumeDevice(volumeId)) })),
          machine,
        );
        const instance = new aws.ec2.Instance(
          `${prefix}-instance`,
          {
            region,
            ami: boot.apply((made) => made.ami),
            instanceType: size,
            userData: boot.apply((made) => made.userData),
            userDataReplaceOnChange: true,
            primaryNetworkInterface: { networkInterfaceId: nic.id },
            metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
            rootBlockDevice: { encrypted: true, volumeType: "gp3" },
            tags: nodeTags,
          },
          // What it boots with is fetched at once, so the way out has to be there.
          { ...first, dependsOn: [...after, ...routes, ...(eip === undefined ? [] : [eip])] },
        );
        new aws.ec2.VolumeAttachment(
          `${prefix}-attachment`,
          {
            region,
            deviceName: "/dev/sdf",
            volumeId: volume.id,
            instanceId: instance.id,
            stopInstanceBeforeDetaching: true,
          },
          first,
        );
      };
      return {
        ...ports,
        ipv4: eip?.publicIp ?? "none",
        ipv6: addresses.includes("ipv6") ? nic.ipv6Addresses.apply(([address = ""]) => address) : "none",
        listen: `:${ports.derpPort}`,
        createMachine,
      };
    },
  };
}

/** A network with a way out in both families, and a subnet in each zone that has a node. */
function createNetwork(
  { location: region }: RegionConfig,
  name: string,
  tags: Readonly<Record<string, string>>,
  zones: readonly string[],
  options: pulumi.CustomResourceOptions,
) {
  const vpc = new aws.ec2.Vpc(
    `${name}-network`,
    { region, cidrBlock: networkRange, assignGeneratedIpv6CidrBlock: true, tags: { ...tags, Name: name } },
    options,
  );
  const gateway = new aws.ec2.InternetGateway(`${name}-gateway`, { region, vpcId: vpc.id, tags }, options);
  const table = new aws.ec2.RouteTable(`${name}-routes`, { region, vpcId: vpc.id, tags }, options);
  const out = { region, routeTableId: table.id, gatewayId: gateway.id };
  const routes: pulumi.Resource[] = [
    new aws.ec2.Route(`${name}-route-ipv4`, { ...out, destinationCidrBlock: "0.0.0.0/0" }, options),
    new aws.ec2.Route(`${name}-route-ipv6`, { ...out, destinationIpv6CidrBlock: "::/0" }, options),
  ];
  const subnets = new Map<string, aws.ec2.Subnet>();
  for (const zone of zones) {
    const letter = zone.at(-1);
    const subnet = new aws.ec2.Subnet(
      `${name}-subnet-${letter}`,
      {
        region,
        vpcId: vpc.id,
        availabilityZone: zone,
        cidrBlock: subnetRange(zone),
        ipv6CidrBlock: vpc.ipv6CidrBlock.apply((network) => subnetRange6(network, zone)),
        tags: { ...tags, Name: `${name}-${letter}` },
      },
      options,
    );
    const association = { region, subnetId: subnet.id, routeTableId: table.id };
    routes.push(new aws.ec2.RouteTableAssociation(`${name}-subnet-${letter}`, association, options));
    subnets.set(zone, subnet);
  }
  return { vpcId: vpc.id, subnets, routes };
}

/** Lets in what a relay is for, and lets everything out. */
function createGroup(
  { location: region, addresses, nodes, icmpEcho, http, peerRelayPort }: RegionConfig,
  name: string,
  tags: Readonly<Record<string, string>>,
  vpcId: pulumi.Input<string>,
  options: pulumi.CustomResourceOptions,
): aws.ec2.SecurityGroup {
  const group = new aws.ec2.SecurityGroup(
    `${name}-firewall`,
    { region, vpcId, description: "derpkit: what relays are asked", tags: { ...tags, Name: name } },
    options,
  );
  const { tcp, udp } = openPorts(nodes);
  for (const family of addresses) {
    const source = { region, securityGroupId: group.id, ...everywhere[family] };
    const { ipProtocol, mtu, echo } = icmp[family];
    const rules = [
      ...tcp.map((port) => ["derp", "tcp", { fromPort: port, toPort: port }] as const),
      ...(http ? [["http", "tcp", { fromPort: 80, toPort: 80 }] as const] : []),
      ...udp.map((port) => ["stun", "udp", { fromPort: port, toPort: port }] as const),
      ...(peerRelayPort === undefined
        ? []
        : [["peer-relay", "udp", { fromPort: peerRelayPort, toPort: peerRelayPort }] as const]),
      ["mtu", ipProtocol, mtu] as const,
      ...(icmpEcho ? [["echo", ipProtocol, echo] as const] : []),
    ];
    for (const [what, protocol, range] of rules) {
      const named = what === "derp" || what === "stun" ? `${what}-${range.fromPort}` : what;
      new aws.vpc.SecurityGroupIngressRule(
        `${name}-in-${named}-${family}`,
        { ...source, ipProtocol: protocol, ...range, description: what, tags },
        options,
      );
    }
    new aws.vpc.SecurityGroupEgressRule(
      `${name}-out-${family}`,
      { ...source, ipProtocol: "-1", tags },
      options,
    );
  }
  return group;
}

/** The newest Debian 13 there is. A machine keeps the one that it was made with. */
function findImage(region: string, size: string): pulumi.Output<string> {
  const filters = [{ name: "name", values: [`debian-13-${architectureOf(size)}-*`] }];
  return aws.ec2.getAmiOutput({ region, owners: [debian], mostRecent: true, filters }).id;
}
