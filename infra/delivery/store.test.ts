import assert from "node:assert/strict";
import { test } from "node:test";
import { placeRelease } from "./delivery.ts";
import { renderReaders, storeUrl } from "./store.ts";

const store = { bucket: "releases", location: "eu-central-1" };

test("nodes of both families reach a bucket, in each partition by its own domain", () => {
  assert.equal(storeUrl(store, "aws"), "https://releases.s3.dualstack.eu-central-1.amazonaws.com");
  assert.equal(
    storeUrl({ ...store, location: "cn-north-1" }, "aws-cn"),
    "https://releases.s3.dualstack.cn-north-1.amazonaws.com.cn",
  );
  assert.equal(
    storeUrl({ ...store, endpoint: "https://fsn1.your-objectstorage.com" }, "aws"),
    "https://fsn1.your-objectstorage.com/releases",
  );
});

test("each node reads by its one address of each family, over TLS, and nobody else does", () => {
  const addresses = ["203.0.113.2", "2001:db8::1", "none", "203.0.113.1", "none", "2001:db8::2"];
  const { Statement } = JSON.parse(renderReaders(store, "aws-eusc", addresses));
  assert.deepEqual(Statement, [
    {
      Sid: "NodesOfTheFleet",
      Effect: "Allow",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: "arn:aws-eusc:s3:::releases/*",
      Condition: {
        IpAddress: {
          "aws:SourceIp": ["2001:db8::1/128", "2001:db8::2/128", "203.0.113.1/32", "203.0.113.2/32"],
        },
        Bool: { "aws:SecureTransport": "true" },
      },
    },
  ]);
});

test("the order of nodes is no change", () => {
  assert.equal(renderReaders(store, "aws", ["a", "b"]), renderReaders(store, "aws", ["b", "a"]));
});

test("what did not change keeps its place, and anything else comes after all that was published", () => {
  const first = placeRelease("one", undefined, 1_000);
  assert.deepEqual(first, { sequence: 1_000, content: "one" });
  assert.equal(placeRelease("one", first, 2_000), first);
  assert.equal(placeRelease("two", first, 2_000).sequence, 2_000);
  assert.equal(placeRelease("two", first, 500).sequence, 1_001, "also where the clock is behind");
  // An up that failed published `two` and left no word of it.
  assert.equal(placeRelease("three", first, 2_500).sequence, 2_500);
});
