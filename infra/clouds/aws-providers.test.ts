import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Declared, declaredAre, recordResources } from "../testing/recorded.ts";
import { regionOf } from "../testing/region.ts";
import { AwsProviders } from "./aws-providers.ts";

let declared: Declared[] = [];
before(async () => {
  declared = await recordResources();
});

const at = (location: string) => regionOf({ cloud: "aws", location });

test("the stack's own provider speaks for the usual partition, and no other is declared", () => {
  const providers = new AwsProviders([at("eu-central-1"), at("us-east-1")], {});
  assert.equal(providers.of("eu-central-1"), undefined);
  assert.equal(declared.length, 0);
});

test("each other partition has one provider, with the partition's credentials and a place of it", async () => {
  const regions = [at("us-gov-west-1"), at("eusc-de-east-1"), at("us-gov-east-1"), at("eu-central-1")];
  const providers = new AwsProviders(regions, { "aws-eusc": "sovereign", aws: "usual" });
  const [gov, again] = [providers.of("us-gov-west-1"), providers.of("us-gov-east-1")];
  assert.ok(gov !== undefined && gov === again);
  providers.of("eusc-de-east-1");
  providers.of("eu-central-1");
  await declaredAre(declared, 3);
  assert.deepEqual(
    declared.map(({ name, inputs }) => [name, inputs["region"], inputs["profile"]]),
    [
      ["derp-aws-us-gov", "us-gov-east-1", undefined],
      ["derp-aws-eusc", "eusc-de-east-1", "sovereign"],
      ["derp-aws", "eu-central-1", "usual"],
    ],
  );
});
