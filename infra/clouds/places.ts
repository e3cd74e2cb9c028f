/**
 * The clouds, and where they have data centres: by the cloud's own name of each place, the country of its soil
 * (ISO 3166-1), and the smallest size of a machine there that makes a sensible relay.
 *
 * A default never depends on what is in stock today: a machine would change with it.
 */

/** The clouds of this version. */
export const cloudNames = ["local", "hetzner", "aws"] as const;
export type CloudName = (typeof cloudNames)[number];

export interface Place {
  readonly country: string;
  readonly defaultSize: string;
  /** Of AWS: accounts and credentials of one partition are unknown to the others. */
  readonly partition?: AwsPartition;
}

/** AWS' partitions: the one that everybody means, the European Sovereign Cloud, GovCloud, and China. */
export const awsPartitions = ["aws", "aws-eusc", "aws-us-gov", "aws-cn"] as const;
export type AwsPartition = (typeof awsPartitions)[number];

/** Arm machines are sold in the EU only. */
const hetzner: Readonly<Record<string, Place>> = {
  fsn1: { country: "DE", defaultSize: "cax11" },
  nbg1: { country: "DE", defaultSize: "cax11" },
  hel1: { country: "FI", defaultSize: "cax11" },
  ash: { country: "US", defaultSize: "cpx22" },
  hil: { country: "US", defaultSize: "cpx22" },
  sin: { country: "SG", defaultSize: "cpx22" },
};

type RegionsByCountry = Readonly<Record<string, readonly string[]>>;

/** Regions of Europe are not all in the EU, nor those with an English name in England. */
const usualRegions: RegionsByCountry = {
  AE: ["me-central-1"],
  AU: ["ap-southeast-2", "ap-southeast-4"],
  BH: ["me-south-1"],
  BR: ["sa-east-1"],
  CA: ["ca-central-1", "ca-west-1"],
  CH: ["eu-central-2"],
  DE: ["eu-central-1"],
  ES: ["eu-south-2"],
  FR: ["eu-west-3"],
  GB: ["eu-west-2"],
  HK: ["ap-east-1"],
  ID: ["ap-southeast-3"],
  IE: ["eu-west-1"],
  IL: ["il-central-1"],
  IN: ["ap-south-1", "ap-south-2"],
  IT: ["eu-south-1"],
  JP: ["ap-northeast-1", "ap-northeast-3"],
  KR: ["ap-northeast-2"],
  MX: ["mx-central-1"],
  MY: ["ap-southeast-5"],
  NZ: ["ap-southeast-6"],
  SE: ["eu-north-1"],
  SG: ["ap-southeast-1"],
  TH: ["ap-southeast-7"],
  TW: ["ap-east-2"],
  US: ["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
  ZA: ["af-south-1"],
};

/** With less than 1 GiB a system's own updates do not fit beside a relay. */
const awsSize = "t4g.micro";

const awsRegions: Readonly<Record<AwsPartition, RegionsByCountry>> = {
  aws: usualRegions,
  "aws-eusc": { DE: ["eusc-de-east-1"] },
  "aws-us-gov": { US: ["us-gov-east-1", "us-gov-west-1"] },
  "aws-cn": { CN: ["cn-north-1", "cn-northwest-1"] },
};

const aws = Object.fromEntries(
  awsPartitions.flatMap((partition) =>
    Object.entries(awsRegions[partition]).flatMap(([country, regions]) =>
      regions.map((region): [string, Place] => [region, { country, defaultSize: awsSize, partition }]),
    ),
  ),
);

const places: Readonly<Record<Exclude<CloudName, "local">, Readonly<Record<string, Place>>>> = {
  aws,
  hetzner,
};

/** The names of a cloud's places; none for `local`. */
export function placeNames(cloud: CloudName): readonly string[] {
  return cloud === "local" ? [] : Object.keys(places[cloud]);
}

/** What is known of a place; undefined if the cloud has none of that name. */
export function findPlace(cloud: CloudName, name: string): Place | undefined {
  if (cloud === "local") return undefined;
  return Object.hasOwn(places[cloud], name) ? places[cloud][name] : undefined;
}

/** The partition that a place of AWS is in; the usual one for a place that AWS does not have. */
export function partitionOf(location: string): AwsPartition {
  return findPlace("aws", location)?.partition ?? "aws";
}
