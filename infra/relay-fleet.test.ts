import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { Cloud } from "./clouds/cloud.ts";
import type { RegionConfig } from "./config/fleet.ts";
import { noDns, type PlannedRecord } from "./dns/dns.ts";
import type { ReleaseStore } from "./delivery/delivery.ts";
import { type Gate, noGate } from "./gate.ts";
import { RelayFleet } from "./relay-fleet.ts";
import { type Declared, declaredAre, recordResources, valueOf } from "./testing/recorded.ts";
import { regionOf } from "./testing/region.ts";

let declared: Declared[] = [];
before(async () => {
  declared = await recordResources();
});

const boot = { stack: "test", deliveryUrl: "https://downloads.example.com/", trustedKeys: [] };
const secretValues: Readonly<Record<string, string>> = {
  keys: "0123456789abcdef".repeat(4),
};
const common = {
  boot,
  delivery: undefined,
  gate: noGate,
  secretOf: (key: string) => pulumi.secret(secretValues[key] ?? `secret-of-${key}`),
};

/** A cloud whose nodes have the addresses that `addressOf` gives. It notes what it is asked for, in order. */
function fakeCloud(addressOf: (node: string) => pulumi.Input<string>) {
  const asked: string[] = [];
  const booted = new Map<string, string>();
  const given = new Map<string, readonly string[]>();
  const waitedFor = new Map<string, readonly string[]>();
  const cloud: Cloud = {
    createSite({ id }, name, { parent, protect }) {
      asked.push(`site ${id}: ${name}, child of ${parent?.constructor.name}, protected ${protect}`);
      return {
        createIdentity: ({ name: node, hostName }, prefix, options) => {
          asked.push(
            `${node}: ${prefix}, ${hostName}, child of ${options.parent?.constructor.name}, protected ${options.protect}`,
          );
          return {
            ipv4: addressOf(node),
            ipv6: "none",
            derpPort: 443,
            stunPort: 3478,
            listen: ":443",
            createMachine({ userData, secrets, after }, machine) {
              waitedFor.set(
                node,
                after.map(typeOf).filter((type) => type.startsWith("gate:")),
              );
              asked.push(`${node}: machine, protected ${machine.protect ?? false}`);
              given.set(node, [...secrets.keys()]);
              booted.set(node, userData("/dev/sdb"));
              return [];
            },
          };
        },
      };
    },
  };
  return { asked, booted, given, waitedFor, cloudOf: () => cloud };
}

/** The SDK keeps a resource's type to itself. */
function typeOf(resource: pulumi.Resource): string {
  return String(Reflect.get(resource, "__pulumiType"));
}

/** A value that only the cloud knows, as in a preview. */
function knownAfterUp(): pulumi.Output<string> {
  return pulumi.output(pulumi.unknown).apply(String);
}

const ipv4 = (node: string): string => `192.0.2.${node.charCodeAt(3) - 96}`;
const alfa = regionOf({ addresses: ["ipv4"] });
/** Where machines have a way of their own to secrets. */
const aws = { cloud: "aws", location: "eu-central-1" } as const;
const bravo = regionOf({
  id: 902,
  code: "bravo",
  name: "Bravo",
  nodes: [{ name: "902b" }, { name: "902a" }],
});

test("a fleet is a component for each region and node, whose names come from ids and not from places in a list", async () => {
  const { asked, cloudOf } = fakeCloud(ipv4);
  const from = declared.length;
  const fleet = new RelayFleet("derp", { regions: [bravo, alfa], cloudOf, dns: noDns(300), ...common });
  const map = await valueOf(pulumi.output(fleet.derpMap));
  await declaredAre(declared, from + 6);
  assert.deepEqual(
    declared
      .slice(from)
      .map(({ name, type }) => `${name} (${type})`)
      .toSorted(),
    [
      "derp (derpkit:index:RelayFleet)",
      "derp-901 (derpkit:index:RelayRegion)",
      "derp-901-901a (derpkit:index:RelayNode)",
      "derp-902 (derpkit:index:RelayRegion)",
      "derp-902-902a (derpkit:index:RelayNode)",
      "derp-902-902b (derpkit:index:RelayNode)",
    ],
  );
  assert.deepEqual(asked, [
    "site 901: derp-901, child of RelayRegion, protected true",
    "901a: derp-901-901a, 901a.derp.example.com, child of RelayNode, protected true",
    "901a: machine, protected false",
    "site 902: derp-902, child of RelayRegion, protected true",
    "902b: derp-902-902b, 902b.derp.example.com, child of RelayNode, protected true",
    "902b: machine, protected false",
    "902a: derp-902-902a, 902a.derp.example.com, child of RelayNode, protected true",
    "902a: machine, protected false",
  ]);
  assert.deepEqual(
    map.Regions["902"]?.Nodes.map(({ Name, HostName, IPv4 }) => [Name, HostName, IPv4]),
    [
      ["902b", "902b.derp.example.com", "192.0.2.2"],
      ["902a", "902a.derp.example.com", "192.0.2.1"],
    ],
  );
  assert.deepEqual(
    (await valueOf(pulumi.output(fleet.nodes))).map(({ name }) => name),
    ["901a", "902b", "902a"],
  );
});

test("a node's description has sorted keys and the relay's configuration", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const fleet = new RelayFleet("sorted", { regions: [alfa], cloudOf, dns: noDns(300), ...common });
  const [node] = await valueOf(pulumi.output(fleet.nodes));
  assert.ok(node !== undefined);
  assert.deepEqual(Object.keys(node), Object.keys(node).toSorted());
  assert.deepEqual(node, {
    certName: "",
    derpPort: 443,
    hostName: "901a.derp.example.com",
    ipv4: "192.0.2.1",
    ipv6: "none",
    location: "fsn1",
    name: "901a",
    regionCode: "alfa",
    regionId: 901,
    relayConfig: {
      certMode: "acme",
      drain: "1s",
      hostname: "901a.derp.example.com",
      httpPort: -1,
      updaterStatusFile: "/run/derpkit/updater.json",
    },
    size: "cax11",
    state: "serving",
    stunPort: 3478,
  });
});

test("a machine boots with its node's names and the folder of its region's releases, once its DNS records are there", async () => {
  const { booted, cloudOf, asked } = fakeCloud(ipv4);
  const made: string[] = [];
  const dns = {
    ttl: 60,
    serves: (hostName: string) => hostName.endsWith(".example.com"),
    createRecords(records: readonly PlannedRecord[], name: string) {
      made.push(...records.map(({ type }) => `${name} ${type}`));
      asked.push("records");
      return [];
    },
  };
  const fleet = new RelayFleet("named", { regions: [alfa], cloudOf, dns, ...common });
  assert.deepEqual(made, ["named-901-901a A", "named-901-901a CAA"]);
  assert.deepEqual(asked.slice(-2), ["records", "901a: machine, protected false"]);
  assert.match(
    booted.get("901a") ?? "",
    /DERPKIT_DELIVERY=https:\/\/downloads\.example\.com\/alfa\n[^]*DERPKIT_VOLUME=\/dev\/sdb\n/,
  );
  assert.deepEqual(
    (await valueOf(pulumi.output(fleet.records))).map(({ type, content, ttl }) => [type, content, ttl]),
    [
      ["A", "192.0.2.1", 60],
      ["CAA", '0 issue "letsencrypt.org; validationmethods=tls-alpn-01"', 60],
    ],
  );
});

test("a machine is given the secrets that its region's admission names, and no machine another's", async () => {
  const { given, booted, cloudOf } = fakeCloud(ipv4);
  const admission = { tailnetApi: { clientId: "kReader", secret: "reader" } };
  const regions = [alfa, regionOf({ ...aws, id: 902, code: "bravo", admission })];
  const fleet = new RelayFleet("secrets", { regions, cloudOf, dns: noDns(300), ...common });
  const [, node] = await valueOf(pulumi.output(fleet.nodes));
  assert.deepEqual(
    [...given],
    [
      ["901a", []],
      ["902a", ["tailnet-api"]],
    ],
  );
  assert.equal(node?.relayConfig.admissionApiClientId, "kReader");
  assert.doesNotMatch(JSON.stringify([node, ...booted]), /secret-of-reader/);
});

test("where machines have no way to secrets, those are sealed to the key that each relay has told, and waited for", async () => {
  const { given, cloudOf } = fakeCloud(ipv4);
  const sealed: string[] = [];
  const waited: string[] = [];
  const release = pulumi.output({ sequence: 7, content: "one" });
  const resource = (type: string): pulumi.Resource => new pulumi.ComponentResource(type, "sealing");
  const store: ReleaseStore = {
    publish: () => ({ release, resources: [] }),
    seal(region, node, key, secrets, after) {
      key.apply((hex) => sealed.push(`${region.code} ${node} ${hex}: ${[...secrets.keys()].join(", ")}`));
      waited.push(...after.map(typeOf));
      return { release, resources: [] };
    },
  };
  const gate: Gate = {
    learnKeys: (region) => ({
      keys: pulumi.output(Object.fromEntries(region.nodes.map(({ name }) => [name, `key of ${name}`]))),
      resource: resource("test:Learned"),
    }),
    createGate(_, { secrets, closed }, name) {
      waited.push(`${name}: ${[...secrets.keys()].join(", ")}, closed ${closed}`);
      return [];
    },
  };
  const admission = { tailnetApi: { clientId: "kReader", secret: "reader" } };
  const region = regionOf({ admission, statusToken: "statusReader", nodes: [{}, {}] });
  const delivery = { url: "https://downloads.example.com", createStore: () => store };
  const args = { regions: [region], cloudOf, dns: noDns(300), ...common, delivery, gate };
  const fleet = new RelayFleet("sealing", args);
  assert.deepEqual(Object.keys(fleet.releases), ["alfa", "alfa/901a", "alfa/901b"]);
  await valueOf(fleet.releases["alfa/901b"] ?? release);
  assert.deepEqual(sealed, [
    "alfa 901a key of 901a: status-token, tailnet-api",
    "alfa 901b key of 901b: status-token, tailnet-api",
  ]);
  assert.deepEqual(waited, ["test:Learned", "test:Learned", "sealing-901: 901a, 901b, closed true"]);
  assert.deepEqual([...given.values()], [[], []]);
});

/** What each node's relay is told of the others. */
async function meshOf(name: string, region: RegionConfig, cloudOf: () => Cloud) {
  const fleet = new RelayFleet(name, { regions: [region], cloudOf, dns: noDns(300), ...common });
  return (await valueOf(pulumi.output(fleet.nodes))).map(({ relayConfig }) => relayConfig.meshWith);
}

test("relays of a region are told of all others of it, and of none of another", async () => {
  const { cloudOf, given } = fakeCloud(ipv4);
  const region = { mesh: "keys", statusToken: "statusReader", nodes: [{}, { derpPort: 8443 }, {}] };
  const fleet = new RelayFleet("mesh", {
    regions: [alfa, regionOf({ ...aws, id: 902, code: "bravo", ...region })],
    cloudOf,
    dns: noDns(300),
    ...common,
  });
  const nodes = await valueOf(pulumi.output(fleet.nodes));
  const [a, b, c] = ["902a", "902b", "902c"].map((node) => `${node}.derp.example.com`);
  assert.deepEqual(
    nodes.map(({ relayConfig: { meshWith } }) => meshWith),
    [undefined, `${b},${c}`, `${a},${c}`, `${a},${b}`],
  );
  assert.deepEqual(given.get("902b"), ["mesh-key", "status-token"]);
  assert.equal(nodes[1]?.relayConfig.meshPskFile, "/run/credentials/derpkit-relay.service/mesh-key");
  assert.doesNotMatch(JSON.stringify(nodes), new RegExp(secretValues["keys"] ?? ""));
  for (const node of nodes) assert.deepEqual(Object.keys(node), Object.keys(node).toSorted());
});

test("pinned relays connect to each other's addresses, each to those whose pins are known", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const pin = (digit: string): string => `sha256-raw:${digit.repeat(64)}`;
  const region = (...nodes: { readonly pin?: string }[]): RegionConfig =>
    regionOf({ certificates: "pinned", mesh: "keys", nodes });
  const [a, b] = [{ pin: pin("a") }, { pin: pin("b") }];
  const entries = [`901b.derp.example.com/192.0.2.2=${b.pin}`, `901a.derp.example.com/192.0.2.1=${a.pin}`];
  assert.deepEqual(await meshOf("pinned", region(a, b), cloudOf), entries);
  assert.deepEqual(await meshOf("first", region({}, b), cloudOf), [entries[0], undefined]);
});

test("relays that are called by their addresses find each other by them", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const region = regionOf({ certificates: "acme-ip", mesh: "keys", nodes: [{}, {}] });
  assert.deepEqual(await meshOf("addresses", region, cloudOf), ["192.0.2.2", "192.0.2.1"]);
});

test("a node without a name of its own is called by its address, and needs no records", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const regions = [regionOf({ certificates: "acme-ip", addresses: ["ipv4"] })];
  const fleet = new RelayFleet("bare", { regions, cloudOf, dns: noDns(300), ...common });
  const [node] = await valueOf(pulumi.output(fleet.nodes));
  assert.deepEqual([node?.hostName, node?.relayConfig.acmeIps], ["192.0.2.1", "192.0.2.1"]);
  assert.deepEqual(await valueOf(pulumi.output(fleet.records)), []);
});

test("a retired region is protected no longer and not in the derpMap; one whose pins are unknown is not there either", async () => {
  const { asked, cloudOf } = fakeCloud(ipv4);
  const regions = [
    regionOf({ state: "retired" }),
    regionOf({ id: 902, code: "bravo", certificates: "pinned" }),
    regionOf({ id: 903, code: "charlie", state: "canary" }),
  ];
  const fleet = new RelayFleet("life", { regions, cloudOf, dns: noDns(300), ...common });
  assert.deepEqual(Object.keys(fleet.derpMap.Regions), ["903"]);
  assert.deepEqual(
    (await valueOf(pulumi.output(fleet.nodes))).map(({ name, certName }) => [name, certName]),
    [
      ["901a", ""],
      ["902a", "pending"],
      ["903a", ""],
    ],
  );
  assert.match(asked[0] ?? "", /^site 901: .* protected false$/);
  assert.match(asked[1] ?? "", /^901a: .* protected false$/);
});

test("waves follow each other: machines of one wait for what earlier ones have to show, and a region that is skipped shows nothing and is in no map", async () => {
  const { cloudOf, waitedFor } = fakeCloud(ipv4);
  const gate: Gate = {
    learnKeys: () => undefined,
    createGate: ({ code, isUnproven }, _, name, options) =>
      isUnproven ? [] : [new pulumi.ComponentResource(`gate:${code}`, name, {}, options)],
  };
  const regions = [
    regionOf({ id: 903, code: "charlie", wave: 3 }),
    regionOf({ wave: 1 }),
    regionOf({ id: 902, code: "bravo", wave: 1, skipGate: { reason: "flooded", until: "2026-12-31" } }),
    regionOf({ id: 904, code: "delta", wave: 2 }),
  ];
  const fleet = new RelayFleet("waves", { regions, cloudOf, dns: noDns(300), ...common, gate });
  assert.deepEqual(
    [...waitedFor],
    [
      ["901a", []],
      ["902a", []],
      ["904a", ["gate:alfa"]],
      ["903a", ["gate:alfa", "gate:delta"]],
    ],
  );
  assert.deepEqual(Object.keys(fleet.derpMap.Regions), ["901", "903", "904"]);
  const [unverified] = fleet.unverified;
  assert.equal(unverified?.reason, "its gate is skipped until 2026-12-31: flooded");
  assert.equal(unverified.region.Nodes[0]?.Name, "902a", "who insists can still have it");
});

test("without gates every region in a cloud is unverified; those that no map can show are not told of", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const regions = [
    regionOf({ id: 903, code: "charlie", certificates: "pinned" }),
    regionOf({ id: 902, code: "bravo", state: "retired" }),
    alfa,
  ];
  const fleet = new RelayFleet("unverified", { regions, cloudOf, dns: noDns(300), ...common });
  assert.deepEqual(
    fleet.unverified.map(({ id, reason }) => [id, reason]),
    [[901, "the stack has no gate"]],
  );
});

test("what the map says beyond its regions is the configuration's", async () => {
  const { cloudOf } = fakeCloud(ipv4);
  const map = { drainBy: "score", dropTailscaleRegions: [5] } as const;
  const regions = [regionOf({ addresses: ["ipv4"], state: "draining" })];
  const { derpMap } = new RelayFleet("policy", { regions, cloudOf, dns: noDns(300), ...common, map });
  assert.deepEqual(derpMap.HomeParams, { RegionScore: { 901: 100 } });
  assert.deepEqual(Object.keys(derpMap.Regions), ["5", "901"]);
});

test("an address that only the cloud knows leaves the derpMap to be known after up, and stops nothing", async () => {
  const { cloudOf } = fakeCloud(knownAfterUp);
  const regions = [regionOf({ id: 903, code: "charlie" })];
  const fleet = new RelayFleet("later", { regions, cloudOf, dns: noDns(300), ...common });
  const applied = pulumi.output(fleet.derpMap).apply(() => assert.fail("the map is not known"));
  await valueOf(fleet.urn);
  await pulumi.runtime.disconnect();
  assert.ok(declared.some(({ name }) => name === "later-903-903a"));
  assert.ok(pulumi.Output.isInstance(applied));
});
