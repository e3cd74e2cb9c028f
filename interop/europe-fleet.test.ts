/** The example of three regions at AWS and Hetzner under Pulumi's engine. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { userDataLimits } from "../infra/bootstrap/cloud-init.ts";
import { assertNowhere, CloudFleet, goesOnAfter, stateFiles } from "./cloud-fleet.ts";
import { type CloudObject, type CloudState, whyNoClouds } from "./simcloud.ts";

const all = {
  addresses: 3,
  firewalls: 1,
  instances: 3,
  internetGateways: 2,
  networkInterfaces: 3,
  parameters: 2,
  placement_groups: 1,
  primary_ips: 2,
  records: 12,
  routeTables: 2,
  securityGroups: 2,
  servers: 1,
  subnets: 3,
  volumes: 4,
  vpcs: 2,
};

/** Of Dublin alone. */
const oneAtAws = {
  addresses: 1,
  instances: 1,
  internetGateways: 1,
  networkInterfaces: 1,
  records: 3,
  routeTables: 1,
  securityGroups: 1,
  subnets: 1,
  volumes: 1,
  vpcs: 1,
};

/** The objects of a kind in a region of AWS. */
function awsObjects(state: CloudState, region: string, kind: string): readonly CloudObject[] {
  return state.aws.regions[region]?.[kind] ?? [];
}

describe("three regions at AWS and Hetzner", { skip: whyNoClouds ?? false }, () => {
  let fleet: CloudFleet;
  before(async () => {
    fleet = await CloudFleet.start("europe");
    fleet.edit((text) => text.replace("# mesh:", "mesh:"));
    fleet.setSecret("stockholmMesh", randomBytes(32).toString("hex"));
  });
  after(() => fleet[Symbol.asyncDispose]());

  test("an up makes what the example says, and then there is nothing to do", async () => {
    const preview = fleet.try("preview");
    assert.equal(preview.status, 0, preview.text);
    assert.deepEqual(await fleet.count(), {});
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    assert.deepEqual(await fleet.count(), all);
    fleet.staysAsItIs();
  });

  test("machines ask for a token at their metadata, have small user data, and stand in different zones", async () => {
    const instances = awsObjects(await fleet.clouds.state(), "eu-north-1", "instances");
    assert.equal(instances.length, 2);
    for (const { userData, metadata } of instances) {
      const text = Buffer.from(String(userData), "base64").toString();
      assert.match(
        text,
        /^#cloud-config\n[^]*DERPKIT_VOLUME=\/dev\/disk\/by-id\/nvme-Amazon_Elastic_Block_Store_vol[0-9a-z]+\n/,
      );
      assert.match(text, /echo_ignore_all = 1/);
      assert.ok(Buffer.byteLength(text) < userDataLimits.aws);
      assert.equal(Object(metadata).httpTokens, "required");
      assert.equal(Object(metadata).httpPutResponseHopLimit, 1);
    }
    const zones = awsObjects(await fleet.clouds.state(), "eu-north-1", "volumes").map(({ az }) => String(az));
    assert.deepEqual(zones.toSorted(), ["eu-north-1a", "eu-north-1b"]);
  });

  test("a new generation of one region builds its machines anew, which keep their addresses, and touches no other", async () => {
    const earlier = await fleet.clouds.state();
    fleet.edit((text) => text.replace("icmpEcho: false", "icmpEcho: false\n      generation: 2"));
    const map = fleet.output("derpMap");
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const now = await fleet.clouds.state();
    const ids = (state: CloudState, region: string, kind: string): string[] =>
      awsObjects(state, region, kind)
        .map(({ id }) => String(id))
        .sort();
    assert.notDeepEqual(ids(now, "eu-north-1", "instances"), ids(earlier, "eu-north-1", "instances"));
    for (const kind of ["networkInterfaces", "addresses", "volumes"]) {
      assert.deepEqual(ids(now, "eu-north-1", kind), ids(earlier, "eu-north-1", kind), kind);
    }
    assert.deepEqual(ids(now, "eu-west-1", "instances"), ids(earlier, "eu-west-1", "instances"));
    assert.deepEqual(now.hetzner, earlier.hetzner);
    assert.equal(fleet.output("derpMap"), map);
    fleet.staysAsItIs();
  });

  test("retired, it is destroyed with nothing left", async () => {
    fleet.edit((text) =>
      text.replaceAll(/^ {6}location: (.*)$/gm, "      location: $1\n      state: retired"),
    );
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    assert.equal(JSON.stringify(JSON.parse(fleet.output("derpMap"))), '{"Regions":{}}');
    const destroyed = fleet.destroy();
    assert.equal(destroyed.status, 0, destroyed.text);
    assert.deepEqual(await fleet.count(), {});
  });
});

test(
  "a secret that a relay needs is readable by its machine's role alone, and nowhere in clear: not in the state, not in user data",
  { skip: whyNoClouds ?? false },
  async () => {
    const canary = "canary-51c9f2ab77d0";
    await using fleet = await CloudFleet.start("europe");
    fleet.edit((text) =>
      text
        .replace(/ {4}- id: 921[^]*?(?= {4}- id: 922)/, "")
        .replace(/ {4}- id: 923[^]*$/, "")
        .replace("anyone: true", "tailnetApi: { clientId: kReader, secret: reader }"),
    );
    const missing = fleet.try("preview");
    assert.notEqual(missing.status, 0);
    assert.match(missing.text, /names derpkit:reader, which is missing; run `pulumi config set --secret/);
    fleet.try("config", "set", "--secret", "derpkit:reader", canary);
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    fleet.staysAsItIs();
    const state = await fleet.clouds.state();
    const [parameter] = awsObjects(state, "eu-west-1", "parameters");
    assert.deepEqual(
      [parameter?.["id"], parameter?.["type"], parameter?.["value"]],
      ["/derpkit/europe/922a/tailnet-api", "SecureString", canary],
    );
    const [instance] = awsObjects(state, "eu-west-1", "instances");
    const [profile] = state.aws.iam["profiles"] ?? [];
    assert.equal(instance?.["profile"], profile?.["name"]);
    const userData = Buffer.from(String(instance?.["userData"]), "base64");
    assertNowhere(canary, [
      ...stateFiles(fleet),
      userData,
      Buffer.from(text),
      Buffer.from(fleet.output("nodes")),
    ]);
    fleet.edit((current) => current.replace("wave: 2", "wave: 2\n      state: retired"));
    assert.equal(fleet.up().status, 0);
    const destroyed = fleet.destroy();
    assert.equal(destroyed.status, 0, destroyed.text);
    assert.deepEqual(await fleet.count(), {});
    assert.deepEqual((await fleet.clouds.state()).aws.iam, { roles: [], profiles: [] });
  },
);

test(
  "with a profile for its partition, a region has a provider of its own",
  { skip: whyNoClouds ?? false },
  async () => {
    await using fleet = await CloudFleet.start("europe");
    fleet.edit(
      (text) => `${text.replace(/ {4}- id: 923[^]*$/, "")}  derpkit:awsProfiles: { aws: sovereign }\n`,
    );
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const own = fleet.project.resources("europe").find(({ type }) => type === "pulumi:providers:aws");
    assert.match(own?.urn ?? "", /derp-aws$/);
    assert.equal(own?.inputs?.["profile"], "sovereign");
    fleet.staysAsItIs();
  },
);

/** Every call that makes something of a region with one node. */
const calls = [
  "CreateVpc",
  "CreateInternetGateway",
  "CreateRouteTable",
  "CreateRoute",
  "CreateSubnet",
  "CreateSecurityGroup",
  "AuthorizeSecurityGroup",
  "CreateNetworkInterface",
  "AllocateAddress",
  "AssociateAddress",
  "CreateVolume",
  "RunInstances",
  "AttachVolume",
];

test(
  "whichever call to AWS fails, the next up goes on from there, and nothing is there twice",
  { skip: whyNoClouds ?? false },
  async () => {
    for (const action of calls) {
      await using fleet = await CloudFleet.start("europe");
      fleet.edit((text) =>
        text.replace(/ {4}- id: 921[^]*?(?= {4}- id: 922)/, "").replace(/ {4}- id: 923[^]*$/, ""),
      );
      await goesOnAfter({ method: "AWS", path: `^${action}$` }, fleet, oneAtAws);
    }
  },
);
