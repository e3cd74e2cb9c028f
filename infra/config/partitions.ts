/** What AWS' partitions ask for. Works on what was written, right or wrong. */
import { type AwsPartition, awsPartitions, type CloudName, findPlace } from "../clouds/places.ts";
import { childPath } from "./path.ts";
import { itemsOf, type Members, membersOf, type Report, valid } from "./raw.ts";
import { fleetSchema, regionSchema } from "./schema.ts";

export function checkImage(cloud: CloudName, region: Members, path: string, report: Report): void {
  const at = childPath(path, "image");
  const isWritten = region["image"] !== undefined;
  if (cloud !== "aws") {
    if (isWritten)
      report(at, `is of AWS; remove it, as machines at ${cloud} are made from its own Debian 13`);
    return;
  }
  const partition = partitionOf(region);
  if (partition !== undefined && partition !== "aws" && !isWritten) {
    report(
      at,
      `is missing; write the id of a Debian 13 image: it is not known who publishes them in ${partition}`,
    );
  }
}

/** The environment has the credentials of one partition; each other needs a profile. */
export function checkProfiles(fleet: Members, report: Report): void {
  const path = childPath(undefined, "awsProfiles");
  const profiles = valid(fleetSchema.entries.awsProfiles, fleet["awsProfiles"]);
  if (profiles === undefined) return;
  const used = new Set(itemsOf(fleet["regions"]).map((region) => partitionOf(membersOf(region))));
  const without = awsPartitions.filter((name) => used.has(name) && profiles[name] === undefined);
  if (without.length > 1) {
    report(
      path,
      `has none for ${without.join(" and ")}, and the environment has the credentials of one partition; write the others' profiles`,
    );
  }
  for (const name of awsPartitions) {
    if (profiles[name] !== undefined && !used.has(name)) {
      report(childPath(path, name), "is of a partition that no region is in; remove it");
    }
  }
}

function partitionOf(region: Members): AwsPartition | undefined {
  const location = valid(regionSchema.entries.location, region["location"]);
  if (region["cloud"] !== "aws" || location === undefined) return undefined;
  return findPlace("aws", location)?.partition;
}
