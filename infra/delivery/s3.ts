/**
 * Delivery by a store that speaks S3. At AWS the bucket is the stack's, and the fleet's nodes alone may read it; in any
 * other store it is its owner's, and the stack puts objects into it.
 */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsPartition } from "../clouds/places.ts";
import type { RegionConfig } from "../config/fleet.ts";
import type { PlannedNode } from "../clouds/cloud.ts";
import type { Delivery, PublishedRelease } from "./delivery.ts";
import type { PlannedRelease, ReleaseBuilder } from "./release-builder.ts";
import { renderReaders, type Store, storeUrl } from "./store.ts";

/** A store, and the credentials for it. */
export interface S3Options {
  readonly store: Store;
  /** Of AWS. */
  readonly partition: AwsPartition;
  /** Of `~/.aws/config`; undefined for the environment's credentials. */
  readonly profile: string | undefined;
  /** Of a store with an endpoint. */
  readonly key: { readonly id: string; readonly secret: pulumi.Output<string> } | undefined;
  readonly stack: string;
}

/** Makes the delivery. @param builder of what is put there */
export function openS3Delivery(options: S3Options, builder: ReleaseBuilder): Delivery {
  const { store, partition } = options;
  return {
    url: storeUrl(store, partition),
    createStore(name, parent) {
      const provider = createProvider(options, name, parent);
      const own = { parent, ...(provider && { provider }) };
      const bucket = store.endpoint === undefined ? createBucket(options, name, own) : undefined;
      const first = bucket === undefined ? [] : [bucket];
      return {
        publish: (region, nodes, after) =>
          putRelease(store, builder.plan(region, nodes), region, name, [...first, ...after], own),
        seal: (region, node, key, secrets, after) =>
          putRelease(
            store,
            builder.seal(region, node, key, secrets),
            region,
            name,
            [...first, ...after],
            own,
          ),
        ...(bucket && { admit: (nodes) => admit(bucket, options, nodes, name, own) }),
      };
    },
  };
}

/** Who speaks to the store; undefined for the stack's own provider. */
function createProvider(
  { store, partition, profile, key }: S3Options,
  name: string,
  parent: pulumi.Resource,
): aws.Provider | undefined {
  const options = { parent };
  const region = store.location;
  if (store.endpoint !== undefined && key !== undefined) {
    const { id: accessKey, secret: secretKey } = key;
    const foreign = {
      // There is nobody whom the provider could ask who it is.
      skipCredentialsValidation: true,
      skipMetadataApiCheck: true,
      skipRegionValidation: true,
      skipRequestingAccountId: true,
      s3UsePathStyle: true,
    };
    const endpoints = [{ s3: store.endpoint }];
    return new aws.Provider(name, { region, accessKey, secretKey, endpoints, ...foreign }, options);
  }
  if (partition === "aws" && profile === undefined) return undefined;
  return new aws.Provider(name, { region, ...(profile === undefined ? {} : { profile }) }, options);
}

/** The stack's own bucket. */
function createBucket(
  { store, stack }: S3Options,
  name: string,
  options: pulumi.CustomResourceOptions,
): aws.s3.Bucket {
  const { bucket, location: region } = store;
  const tags = { "derpkit-stack": stack };
  // What is in it is made again by any `up`.
  return new aws.s3.Bucket(name, { region, bucket, forceDestroy: true, tags }, options);
}

/** Declares that the fleet's nodes may read, each by its address, and keeps everybody else out. */
function admit(
  bucket: aws.s3.Bucket,
  { store, partition }: S3Options,
  nodes: readonly PlannedNode[],
  name: string,
  options: pulumi.CustomResourceOptions,
): void {
  const region = store.location;
  const closed = new aws.s3.BucketPublicAccessBlock(
    name,
    {
      region,
      bucket: bucket.bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    options,
  );
  const policy = pulumi
    .all(nodes.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]))
    .apply((addresses) => renderReaders(store, partition, addresses));
  new aws.s3.BucketPolicy(name, { region, bucket: bucket.bucket, policy }, { ...options, dependsOn: closed });
}

/** Puts a release below its region's code: what vouches for it last. */
function putRelease(
  { bucket, location, endpoint }: Store,
  { kept, texts, seals, release }: PlannedRelease,
  { id, code }: Pick<RegionConfig, "id" | "code">,
  prefix: string,
  after: readonly pulumi.Resource[],
  options: pulumi.CustomResourceOptions,
): PublishedRelease {
  const place = { ...(endpoint === undefined ? { region: location } : {}), bucket };
  const resources: pulumi.Resource[] = [];
  const put = (
    file: string,
    content: Pick<aws.s3.BucketObjectv2Args, "content" | "source">,
    dependsOn: readonly pulumi.Resource[],
  ): void => {
    const name = `${prefix}-${id}-${file.replaceAll("/", "-")}`;
    const args = { ...place, key: `${code}/${file}`, ...content };
    resources.push(new aws.s3.BucketObjectv2(name, args, { ...options, dependsOn: [...dependsOn] }));
  };
  for (const [file, where] of kept) put(file, { source: new pulumi.asset.FileAsset(where) }, after);
  for (const [file, content] of texts) put(file, { content }, after);
  for (const [file, content] of seals) put(file, { content }, [...after, ...resources]);
  return { release, resources };
}
