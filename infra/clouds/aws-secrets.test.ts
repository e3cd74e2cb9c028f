import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { type Declared, declaredAre, recordResources, valueOf } from "../testing/recorded.ts";
import { createSecretAccess } from "./aws-secrets.ts";

let declared: Declared[] = [];
before(async () => {
  declared = await recordResources(({ type, name, inputs }) =>
    type === "aws:ssm/parameter:Parameter"
      ? { arn: `arn:aws:ssm:::parameter${String(inputs["name"])}` }
      : { name: `${name}-1234` },
  );
});

async function declare(location: string, prefix: string) {
  const from = declared.length;
  const owner = { stack: "prod", regionId: 901, node: "901a", location, tags: {} };
  const secrets = new Map([["tailnet-api", pulumi.secret("hunter2")]]);
  const { profile } = createSecretAccess(owner, prefix, secrets, {});
  await declaredAre(declared, from + 4);
  const inputsOf = (kind: string): Readonly<Record<string, unknown>> =>
    declared.slice(from).find(({ type }) => type.endsWith(`:${kind}`))?.inputs ?? {};
  return { inputsOf, profile: await valueOf(profile) };
}

test("a machine reads its own parameters, by a role that only machines can take", async () => {
  const { inputsOf, profile } = await declare("eu-central-1", "derp-901-901a");
  const { name, type, region, value } = inputsOf("Parameter");
  assert.deepEqual([name, type, region], ["/derpkit/prod/901a/tailnet-api", "SecureString", "eu-central-1"]);
  assert.ok(pulumi.runtime.isRpcSecret(value), "the value is marked as a secret");
  assert.deepEqual(JSON.parse(String(inputsOf("RolePolicy")["policy"])), {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: "ssm:GetParameter",
        Resource: ["arn:aws:ssm:::parameter/derpkit/prod/901a/tailnet-api"],
      },
    ],
  });
  assert.deepEqual(JSON.parse(String(inputsOf("Role")["assumeRolePolicy"])).Statement, [
    { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
  ]);
  assert.equal(inputsOf("InstanceProfile")["role"], "derp-901-901a-role-1234");
  assert.equal(profile, "derp-901-901a-role-1234");
});

test("in China AWS' services have names of their own", async () => {
  const { inputsOf } = await declare("cn-north-1", "derp-902-902a");
  assert.match(String(inputsOf("Role")["assumeRolePolicy"]), /"ec2\.amazonaws\.com\.cn"/);
});
