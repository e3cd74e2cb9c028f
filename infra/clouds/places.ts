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
}

/** Arm machines are sold in the EU only. */
const hetzner: Readonly<Record<string, Place>> = {
  fsn1: { country: "DE", defaultSize: "cax11" },
  nbg1: { country: "DE", defaultSize: "cax11" },
  hel1: { country: "FI", defaultSize: "cax11" },
  ash: { country: "US", defaultSize: "cpx22" },
  hil: { country: "US", defaultSize: "cpx22" },
  sin: { country: "SG", defaultSize: "cpx22" },
};

/** By country. Regions of Europe are not all in the EU, nor those with an English name in England. */
const awsRegions: Readonly<Record<string, readonly string[]>> = {
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

const aws = Object.fromEntries(
  Object.entries(awsRegions).flatMap(([country, regions]) =>
    regions.map((region): [string, Place] => [region, { country, defaultSize: awsSize }]),
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
