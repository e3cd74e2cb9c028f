import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { type PlannedResource, type ProgramResult, runProgram } from "./cli/program.ts";
import { resolveStack } from "./cli/stack-file.ts";

const root = path.join(import.meta.dirname, "..");

interface Plan extends ProgramResult {
  /** What is in a cloud, each as `name type`. */
  readonly names: readonly string[];
  readonly made: readonly PlannedResource[];
}

/** What an example declares, as `npm run plan` shows it. */
async function plan(stack: string): Promise<Plan> {
  const result = await runProgram(await resolveStack(stack, root), () => {});
  const made = result.resources.filter(({ type }) => !/^derpkit:|pulumi:pulumi:/.test(type));
  const names = made.map(({ type, name }) => `${name} ${type.split(":").at(-1)}`).toSorted();
  return { ...result, names, made };
}

test("the example at Hetzner is a server with its identity, its firewall and its DNS records, and nothing else", async () => {
  const { names, made, derpMap } = await plan("hetzner");
  assert.deepEqual(names, [
    "derp-901-901a-a DnsRecord",
    "derp-901-901a-aaaa DnsRecord",
    "derp-901-901a-attachment VolumeAttachment",
    "derp-901-901a-boot-1 Stash",
    "derp-901-901a-caa DnsRecord",
    "derp-901-901a-ipv4 PrimaryIp",
    "derp-901-901a-ipv6 PrimaryIp",
    "derp-901-901a-reverse-ipv4 Rdns",
    "derp-901-901a-reverse-ipv6 Rdns",
    "derp-901-901a-server Server",
    "derp-901-901a-volume Volume",
    "derp-901-firewall Firewall",
    "derp-901-gate Command",
    "derp-901-spread PlacementGroup",
  ]);
  const records = made.filter(({ type }) => type.endsWith(":DnsRecord")).map(({ inputs }) => inputs);
  for (const { proxied, ttl, name } of records) {
    assert.deepEqual({ proxied, ttl, name }, { proxied: false, ttl: 300, name: "901a.derp.example.com" });
  }
  assert.deepEqual(records.find(({ type }) => type === "CAA")?.["data"], {
    flags: 0,
    tag: "issue",
    value: "letsencrypt.org; validationmethods=tls-alpn-01",
  });
  assert.deepEqual(derpMap, {
    Regions: {
      "901": {
        Nodes: [
          {
            CertName: "",
            DERPPort: 443,
            HostName: "901a.derp.example.com",
            IPv4: "(known after up)",
            IPv6: "(known after up)",
            Name: "901a",
            RegionID: 901,
            STUNPort: 3478,
          },
        ],
        RegionCode: "fsn",
        RegionID: 901,
        RegionName: "Falkenstein",
      },
    },
  });
});

test("the pinned example makes no records, and has only the region in its map whose pin is known", async () => {
  const { names, derpMap, next } = await plan("pinned");
  assert.deepEqual(
    names.filter((name) => name.endsWith("DnsRecord")),
    [],
  );
  assert.deepEqual(Object.keys(derpMap.Regions), ["911"]);
  assert.match(next.join("\n"), /certificates of 912a and write their pins/);
});

test("the two nodes of the European example mesh once they share a key, and without one somebody is told", async () => {
  const written = await resolveStack("europe", root);
  const warnings: string[] = [];
  await runProgram(written, (message) => warnings.push(message));
  assert.match(
    warnings.join("\n"),
    /^region 923 has 2 nodes and no mesh key: clients on different nodes of it/,
  );
  const config = new Map(written.config);
  config.set(
    "derpkit:regions",
    (config.get("derpkit:regions") ?? "").replace('"code":"sto"', '"code":"sto","mesh":"stockholmMesh"'),
  );
  config.set("derpkit:stockholmMesh", "ciphertext");
  const secretKeys = new Set([...written.secretKeys, "derpkit:stockholmMesh"]);
  const { nodes } = await runProgram({ ...written, config, secretKeys }, assert.fail);
  assert.deepEqual(
    nodes.map(({ name, relayConfig: { meshWith } }) => [name, meshWith]),
    [
      ["921a", undefined],
      ["922a", undefined],
      ["923a", "923b.derp.example.com"],
      ["923b", "923a.derp.example.com"],
    ],
  );
});

test("the European example gives each region at AWS a network of its own, exactly the rules of a relay, and a zone to each node", async () => {
  const { names, made } = await plan("europe");
  const of = (prefix: string): string[] =>
    names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  assert.deepEqual(of("derp-922-"), [
    "922a-a DnsRecord",
    "922a-aaaa DnsRecord",
    "922a-attachment VolumeAttachment",
    "922a-boot-1 Stash",
    "922a-caa DnsRecord",
    "922a-instance Instance",
    "922a-interface NetworkInterface",
    "922a-ipv4 Eip",
    "922a-volume Volume",
    "firewall SecurityGroup",
    "gate Command",
    "gateway InternetGateway",
    "in-derp-443-ipv4 SecurityGroupIngressRule",
    "in-derp-443-ipv6 SecurityGroupIngressRule",
    "in-echo-ipv4 SecurityGroupIngressRule",
    "in-echo-ipv6 SecurityGroupIngressRule",
    "in-mtu-ipv4 SecurityGroupIngressRule",
    "in-mtu-ipv6 SecurityGroupIngressRule",
    "in-stun-3478-ipv4 SecurityGroupIngressRule",
    "in-stun-3478-ipv6 SecurityGroupIngressRule",
    "network Vpc",
    "out-ipv4 SecurityGroupEgressRule",
    "out-ipv6 SecurityGroupEgressRule",
    "route-ipv4 Route",
    "route-ipv6 Route",
    "routes RouteTable",
    "subnet-a RouteTableAssociation",
    "subnet-a Subnet",
  ]);
  const inputsOf = (name: string, type: string): Readonly<Record<string, unknown>> =>
    made.find((resource) => resource.name === name && resource.type.endsWith(`:${type}`))?.inputs ?? {};
  const rules = made
    .filter(({ name, type }) => name.startsWith("derp-923-in-") && type.endsWith("IngressRule"))
    .map(({ inputs: { ipProtocol, fromPort, toPort, cidrIpv4 = "", cidrIpv6 = "" } }) =>
      [ipProtocol, fromPort, toPort, cidrIpv4, cidrIpv6].map(String).join(" ").trim().replaceAll(/ +/g, " "),
    );
  assert.deepEqual(rules.toSorted(), [
    "icmp 3 4 0.0.0.0/0",
    "icmpv6 2 -1 ::/0",
    "tcp 443 443 0.0.0.0/0",
    "tcp 443 443 ::/0",
    "udp 3478 3478 0.0.0.0/0",
    "udp 3478 3478 ::/0",
  ]);
  assert.deepEqual(inputsOf("derp-922-out-ipv6", "SecurityGroupEgressRule"), {
    cidrIpv6: "::/0",
    ipProtocol: "-1",
    region: "eu-west-1",
    securityGroupId: "(known after up)",
    tags: { "derpkit-region": "922", "derpkit-stack": "europe" },
  });
  assert.deepEqual(
    ["923a", "923b"].map((node) => inputsOf(`derp-923-${node}-volume`, "Volume")["availabilityZone"]),
    ["eu-north-1a", "eu-north-1b"],
  );
  const { metadataOptions, rootBlockDevice, userDataReplaceOnChange, instanceType, region } = inputsOf(
    "derp-922-922a-instance",
    "Instance",
  );
  assert.deepEqual(
    { metadataOptions, rootBlockDevice, userDataReplaceOnChange, instanceType, region },
    {
      metadataOptions: { httpEndpoint: "enabled", httpPutResponseHopLimit: 1, httpTokens: "required" },
      rootBlockDevice: { encrypted: true, volumeType: "gp3" },
      userDataReplaceOnChange: true,
      instanceType: "t4g.micro",
      region: "eu-west-1",
    },
  );
  const { encrypted, size, type } = inputsOf("derp-922-922a-volume", "Volume");
  assert.deepEqual({ encrypted, size, type }, { encrypted: true, size: 1, type: "gp3" });
});

test("the example at AWS has a bucket with its release, which nobody but its nodes may read", async () => {
  const { names, made } = await plan("aws");
  const ofBucket = names.filter((name) => name.startsWith("derp-releases"));
  assert.deepEqual(
    ofBucket.filter((name) => !name.endsWith(" BucketObjectv2")),
    ["derp-releases Bucket", "derp-releases BucketPolicy", "derp-releases BucketPublicAccessBlock"],
  );
  const objects = made.filter(({ type }) => type.endsWith(":BucketObjectv2"));
  const keys = new Set(objects.map(({ inputs }) => inputs["key"]));
  for (const key of [
    "relay.mjs",
    "updater.mjs",
    "stage1.sh",
    "config/931a.json",
    "manifest.sig",
    "manifest.json",
  ]) {
    assert.ok(keys.has(`euc/${key}`), key);
  }
  const text = JSON.stringify(made.find(({ name }) => name === "derp-931-931a-boot-1")?.inputs);
  assert.match(text, /known after up/);
});
