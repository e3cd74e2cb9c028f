/** Where a store that speaks S3 has a bucket, and who may read it. Pure. */
import type { AwsPartition } from "../clouds/places.ts";

/** As the configuration names it. */
export interface Store {
  readonly bucket: string;
  /** The store's own name of the place. */
  readonly location: string;
  /** Without a path; undefined for AWS. */
  readonly endpoint?: string | undefined;
}

/** Domains of AWS' services by partition. */
const awsDomains: Readonly<Record<AwsPartition, string>> = {
  aws: "amazonaws.com",
  "aws-eusc": "amazonaws.eu",
  "aws-us-gov": "amazonaws.com",
  "aws-cn": "amazonaws.com.cn",
};

/**
 * The address below which a bucket's objects are, without a final slash.
 *
 * AWS' usual addresses have IPv4 only, which not every node has; those with `dualstack` have both families.
 */
export function storeUrl({ bucket, location, endpoint }: Store, partition: AwsPartition): string {
  if (endpoint !== undefined) return `${endpoint}/${bucket}`;
  return `https://${bucket}.s3.dualstack.${location}.${awsDomains[partition]}`;
}

/**
 * The policy by which nodes read a bucket, and nobody else does: each by its own address, in each family.
 *
 * Because the addresses are fixed and narrow, AWS does not take it for a public one, and everything that blocks public
 * access stays on.
 *
 * @param addresses of the nodes, `none` among them
 */
export function renderReaders(
  { bucket }: Pick<Store, "bucket">,
  partition: AwsPartition,
  addresses: readonly string[],
): string {
  const ranges = addresses
    .filter((address) => address !== "none")
    .map((address) => `${address}/${address.includes(":") ? 128 : 32}`)
    .toSorted();
  const statement = {
    Sid: "NodesOfTheFleet",
    Effect: "Allow",
    Principal: "*",
    Action: "s3:GetObject",
    Resource: `arn:${partition}:s3:::${bucket}/*`,
    Condition: { IpAddress: { "aws:SourceIp": ranges }, Bool: { "aws:SecureTransport": "true" } },
  };
  return JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
}
