import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { PlannedNode } from "../clouds/cloud.ts";
import { type Declared, declaredAre, recordResources } from "../testing/recorded.ts";
import { regionOf } from "../testing/region.ts";
import { openS3Delivery } from "./s3.ts";
import type { Store } from "./store.ts";

let declared: Declared[] = [];
before(async () => {
  declared = await recordResources();
});

const region = regionOf();
const node = { name: "901a", ipv4: "203.0.113.1", ipv6: "none" } as unknown as PlannedNode;

/** What a store with a release of three files is made of. */
async function declare(store: Store, name: string, count: number): Promise<readonly Declared[]> {
  const from = declared.length;
  const key = store.endpoint === undefined ? undefined : { id: "id", secret: pulumi.secret("hunter2") };
  const release = {
    kept: new Map([["relay.mjs", "/nowhere/relay.mjs"]]),
    texts: new Map([["config/901a.json", pulumi.output("{}")]]),
    seals: new Map([["manifest.json", pulumi.output("{}")]]),
    release: pulumi.output({ sequence: 1, content: "one" }),
  };
  const delivery = openS3Delivery(
    { store, partition: "aws", profile: undefined, key, stack: "prod" },
    { plan: () => release, seal: () => release },
  );
  const shelf = delivery.createStore?.(name, new pulumi.ComponentResource("test:Fleet", `${name}-fleet`));
  shelf?.publish(region, [node], []);
  shelf?.admit?.([node]);
  await declaredAre(declared, from + count);
  return declared.slice(from);
}

const typesOf = (resources: readonly Declared[]): string[] =>
  resources.map(({ type }) => type.split(":").at(-1) ?? "").toSorted();

const files = (resources: readonly Declared[]): string[] =>
  resources
    .filter(({ type }) => type.endsWith(":BucketObjectv2"))
    .map(({ inputs }) => [inputs["bucket"], inputs["key"], inputs["region"]].join(" "))
    .toSorted((a, b) => (a < b ? -1 : 1));

test("at AWS the bucket is the stack's, closed to the public, and its nodes may read", async () => {
  const made = await declare({ bucket: "releases", location: "eu-central-1" }, "own", 7);
  assert.deepEqual(typesOf(made), [
    "Bucket",
    "BucketObjectv2",
    "BucketObjectv2",
    "BucketObjectv2",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "Fleet",
  ]);
  assert.deepEqual(files(made), [
    "releases alfa/config/901a.json eu-central-1",
    "releases alfa/manifest.json eu-central-1",
    "releases alfa/relay.mjs eu-central-1",
  ]);
});

test("in another store the stack puts objects into its owner's bucket, with a key that stays a secret", async () => {
  const endpoint = "https://fsn1.your-objectstorage.com";
  const made = await declare({ bucket: "releases", location: "fsn1", endpoint }, "foreign", 5);
  assert.deepEqual(typesOf(made), ["BucketObjectv2", "BucketObjectv2", "BucketObjectv2", "Fleet", "aws"]);
  assert.deepEqual(files(made), [
    "releases alfa/config/901a.json ",
    "releases alfa/manifest.json ",
    "releases alfa/relay.mjs ",
  ]);
  const provider = made.find(({ type }) => type === "pulumi:providers:aws")?.inputs ?? {};
  assert.deepEqual(JSON.parse(String(provider["endpoints"])), [{ s3: endpoint }]);
  assert.ok(pulumi.runtime.isRpcSecret(provider["secretKey"]));
});
