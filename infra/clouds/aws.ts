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
import type { NodeConfig, RegionConfig } from "../config/fleet.ts";
import { describeRefusal } from "../provider.ts";
import { chooseZones, networkRange, subnetRange, subnetRange6, volumeDevice } from "./aws-network.ts";
import { AwsProviders } from "./aws-providers.ts";
import { listIngress } from "./aws-rules.ts";
import { createSecretAccess } from "./aws-secrets.ts";
import { recordBoot } from "./boot-record.ts";
import type { Boot, NodeIdentity, OpenCloud, Site } from "./cloud.ts";
import { architectureOf } from "./architecture.ts";
import { portsOf } from "./ports.ts";

/** Debian's own account, which publishes its images. */
const debian = "136693071363";
/** Architectures as Debian calls them. */
const debianNames = { arm64: "arm64", x64: "amd64" } as const;
/** GiB. The smallest that is sold; a node's keys and certificates take some kilobytes. */
const volumeSize = 1;

/**
 * Opens AWS.
 *
 * @throws KitError `cloud-unreachable` with what AWS says, of missing credentials too
 */
export const openAwsCloud = (async (regions, { offline, stack }, { awsProfiles }) => {
  const providers = new AwsProviders(regions, awsProfiles);
  const zonesOf = new Map<string, readonly string[]>();
  for (const location of new Set(regions.map((region) => region.location))) {
    const zones = offline ? guessZones(location) : await listZones(location, providers.of(location));
    zonesOf.set(location, zones);
  }
  return {
    providersOf: ({ location }) => [providers.of(location)].filter((provider) => provider !== undefined),
    createSite: (region, name, options) =>
      createSite(region, name, stack, zonesOf.get(region.location) ?? [], options),
  };
}) satisfies OpenCloud;

/** Nearly every region has these. */
function guessZones(location: string): readonly string[] {
  return ["a", "b", "c"].map((letter) => location + letter);
}

/** A region's own zones: local zones are elsewhere, in another country maybe. */
async function listZones(location: string, provider: aws.Provider | undefined): Promise<readonly string[]> {
  try {
    const filters = [{ name: "opt-in-status", values: ["opt-in-not-required"] }];
    const asked = { region: location, state: "available", filters };
    const { names } = await aws.getAvailabilityZones(asked, provider === undefined ? {} : { provider });
    return names.toSorted();
  } catch (cause) {
    throw new KitError("cloud-unreachable", {
      message: `AWS does not tell the zones of ${location}: ${describeRefusal(cause)}`,
      fix: "Check the credentials (derpkit:awsProfiles, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), AWS_REGION, and that the region is enabled.",
    });
  }
}

/** Everybody, in each family. */
const everywhere = { ipv4: { cidrIpv4: "0.0.0.0/0" }, ipv6: { cidrIpv6: "::/0" } } as const;

/** What the nodes of a region share. */
interface Shared {
  readonly stack: string;
  readonly region: RegionConfig;
  readonly tags: Readonly<Record<string, string>>;
  readonly groupId: pulumi.Output<string>;
  /** The way out of the network. */
  readonly routes: readonly pulumi.Resource[];
}

function createSite(
  region: RegionConfig,
  name: string,
  stack: string,
  zones: readonly string[],
  options: pulumi.CustomResourceOptions,
): Site {
  const tags = { "derpkit-region": String(region.id), "derpkit-stack": stack };
  const names = region.nodes.map((node) => node.name);
  const zoneOf = chooseZones(names, zones);
  const network = createNetwork(region, name, tags, [...new Set(zoneOf.values())], options);
  const { subnets, routes, vpcId } = network;
  const groupId = createGroup(region, name, tags, vpcId, options).id;
  const shared = { stack, region, tags, groupId, routes };
  return {
    createIdentity(node, prefix, own) {
      const subnet = subnets.get(zoneOf.get(node.name) ?? "");
      if (subnet === undefined) throw new Error(`the node ${node.name} is in no zone of ${region.location}`);
      return createIdentity(node, prefix, subnet, shared, own);
    },
  };
}

/** A subnet and its zone, which is known before the subnet is. */
interface Place {
  readonly zone: string;
  readonly subnetId: pulumi.Output<string>;
}

function createIdentity(
  node: NodeConfig,
  prefix: string,
  { zone, subnetId }: Place,
  shared: Shared,
  options: pulumi.CustomResourceOptions,
): NodeIdentity {
  const { addresses, location: region } = shared.region;
  const tags = { ...shared.tags, "derpkit-node": node.name, Name: prefix };
  const has6 = addresses.includes("ipv6");
  const nic = new aws.ec2.NetworkInterface(
    `${prefix}-interface`,
    {
      region,
      subnetId,
      securityGroups: [shared.groupId],
      description: `derpkit ${prefix}`,
      ...(has6 ? { ipv6AddressCount: 1 } : {}),
      tags,
    },
    options,
  );
  // Without a way out of the network there is nothing that the address could be for.
  const later = { ...options, dependsOn: [...shared.routes] };
  const eip = addresses.includes("ipv4")
    ? new aws.ec2.Eip(`${prefix}-ipv4`, { region, domain: "vpc", networkInterface: nic.id, tags }, later)
    : undefined;
  const disk = { region, availabilityZone: zone, size: volumeSize, type: "gp3", encrypted: true, tags };
  const volume = new aws.ebs.Volume(`${prefix}-volume`, disk, options);
  const ports = portsOf(node);
  return {
    ...ports,
    ipv4: eip?.publicIp ?? "none",
    ipv6: has6 ? nic.ipv6Addresses.apply(([address = ""]) => address) : "none",
    listen: `:${ports.derpPort}`,
    createMachine: (boot, machine) =>
      createInstance(boot, prefix, { ...shared, node: node.name, tags }, { nic, eip, volume }, machine),
  };
}

/** What an instance is given, and leaves behind. */
interface Belongings {
  readonly nic: aws.ec2.NetworkInterface;
  readonly eip: aws.ec2.Eip | undefined;
  readonly volume: aws.ebs.Volume;
}

function createInstance(
  { userData, after, secrets }: Boot,
  prefix: string,
  { stack, region: config, node, tags, routes }: Shared & { readonly node: string },
  { nic, eip, volume }: Belongings,
  options: pulumi.CustomResourceOptions,
): readonly pulumi.Resource[] {
  const { generation, location: region, size } = config;
  const image = config.image ?? findImage(region, size, options);
  const wanted = pulumi
    .all([image, volume.id])
    .apply(([ami, volumeId]) => ({ ami, userData: userData(volumeDevice(volumeId)) }));
  const boot = recordBoot(prefix, generation, wanted, options);
  const owner = { stack, regionId: config.id, node, location: region, tags };
  const access = secrets.size === 0 ? undefined : createSecretAccess(owner, prefix, secrets, options);
  // An interface and a volume are on one instance at a time.
  const first = { ...options, deleteBeforeReplace: true };
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
      ...(access === undefined ? {} : { iamInstanceProfile: access.profile }),
      tags,
    },
    // What it boots with is fetched at once, so the way out has to be there.
    {
      ...first,
      dependsOn: [...after, ...routes, ...(access?.after ?? []), ...(eip === undefined ? [] : [eip])],
    },
  );
  const attachment = { region, deviceName: "/dev/sdf", volumeId: volume.id, instanceId: instance.id };
  const attached = new aws.ec2.VolumeAttachment(
    `${prefix}-attachment`,
    { ...attachment, stopInstanceBeforeDetaching: true },
    first,
  );
  return [instance, attached];
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
  const subnets = new Map<string, Place>();
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
    subnets.set(zone, { zone, subnetId: subnet.id });
  }
  return { vpcId: vpc.id, subnets, routes };
}

/** Lets in what a relay is for, and lets everything out. */
function createGroup(
  config: RegionConfig,
  name: string,
  tags: Readonly<Record<string, string>>,
  vpcId: pulumi.Input<string>,
  options: pulumi.CustomResourceOptions,
): aws.ec2.SecurityGroup {
  const region = config.location;
  const group = new aws.ec2.SecurityGroup(
    `${name}-firewall`,
    { region, vpcId, description: "derpkit: what relays are asked", tags: { ...tags, Name: name } },
    options,
  );
  const own = { region, securityGroupId: group.id, tags };
  // Rules come and go with the configuration while the region is in use; what they are for is the group's, which stays.
  const open = { ...options, protect: false };
  for (const { name: rule, family, ...range } of listIngress(config)) {
    const args = { ...own, ...everywhere[family], ...range };
    new aws.vpc.SecurityGroupIngressRule(`${name}-in-${rule}-${family}`, args, open);
  }
  for (const family of config.addresses) {
    const args = { ...own, ...everywhere[family], ipProtocol: "-1" };
    new aws.vpc.SecurityGroupEgressRule(`${name}-out-${family}`, args, open);
  }
  return group;
}

/** The newest Debian 13 there is. A machine keeps the one that it was made with. */
function findImage(
  region: string,
  size: string,
  { parent }: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const filters = [{ name: "name", values: [`debian-13-${debianNames[architectureOf("aws", size)]}-*`] }];
  const wanted = { region, owners: [debian], mostRecent: true, filters };
  return aws.ec2.getAmiOutput(wanted, parent === undefined ? {} : { parent }).id;
}
