import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Declared, declaredAre, recordResources, valueOf } from "../testing/recorded.ts";
import { regionOf } from "../testing/region.ts";
import type { NodeIdentity } from "./cloud.ts";
import { openHetznerCloud } from "./hetzner.ts";

/** What Hetzner gives a resource. */
function stateOf({ type, inputs }: Declared): Readonly<Record<string, unknown>> {
  if (type === "hcloud:index/volume:Volume") return { linuxDevice: "/dev/disk/by-id/scsi-0HC_Volume_7" };
  if (type !== "hcloud:index/primaryIp:PrimaryIp") return {};
  return inputs["type"] === "ipv4"
    ? { ipAddress: "203.0.113.7", ipNetwork: "" }
    : { ipAddress: "2001:db8:7::", ipNetwork: "2001:db8:7::/64" };
}

let declared: Declared[] = [];
before(async () => {
  declared = await recordResources(stateOf);
});

/** Declares a region's nodes and their machines. @returns what was declared, without the kind's module, and identities */
async function declare(count: number, written: Parameters<typeof regionOf>[0] = {}, name = "derp-901") {
  const region = regionOf(written);
  const log = { info: () => {}, warn: () => {} };
  const context = { root: "/", stack: "test", now: new Date(0), offline: true, previous: [], log };
  const from = declared.length;
  const site = (await openHetznerCloud([region], context)).createSite(region, name, {});
  const identities: NodeIdentity[] = region.nodes.map((node) =>
    site.createIdentity(node, `${name}-${node.name}`, {}),
  );
  for (const identity of identities) {
    identity.createMachine?.(
      { userData: (device) => `boots from ${device}`, after: [], secrets: new Map() },
      {},
    );
  }
  await declaredAre(declared, from + count);
  const resources = Object.fromEntries(
    declared.slice(from).map(({ type, name: own, inputs }) => [`${own} (${type.split(":").at(-1)})`, inputs]),
  );
  return { resources, identities };
}

const labels = { "derpkit-region": "901", "derpkit-stack": "test" };
const own = { ...labels, "derpkit-node": "901a" };

test("a region of one node is a firewall, a group, two addresses, a volume and a server, and nothing else", async () => {
  const { resources, identities } = await declare(10);
  const everywhere = ["0.0.0.0/0", "::/0"];
  assert.deepEqual(resources["derp-901-firewall (Firewall)"], {
    labels,
    rules: [
      { direction: "in", protocol: "tcp", port: "443", sourceIps: everywhere, description: "DERP" },
      { direction: "in", protocol: "udp", port: "3478", sourceIps: everywhere, description: "STUN" },
      { direction: "in", protocol: "icmp", sourceIps: everywhere, description: "path MTU and ping" },
    ],
  });
  assert.deepEqual(resources["derp-901-spread (PlacementGroup)"], { type: "spread", labels });
  for (const type of ["ipv4", "ipv6"]) {
    assert.deepEqual(resources[`derp-901-901a-${type} (PrimaryIp)`], {
      type,
      location: "fsn1",
      assigneeType: "server",
      autoDelete: false,
      labels: own,
    });
  }
  assert.deepEqual(resources["derp-901-901a-volume (Volume)"], { location: "fsn1", size: 10, labels: own });
  const { publicNets, firewallIds, placementGroupId, ...server } =
    resources["derp-901-901a-server (Server)"] ?? {};
  assert.deepEqual(server, {
    serverType: "cax11",
    location: "fsn1",
    image: "debian-13",
    userData: "boots from /dev/disk/by-id/scsi-0HC_Volume_7",
    shutdownBeforeDeletion: true,
    keepDisk: true,
    labels: { ...own, "derpkit-region-code": "alfa" },
  });
  assert.equal(Array.isArray(firewallIds) && firewallIds.length, 1);
  assert.equal(typeof placementGroupId, "number");
  const [net] = publicNets as Record<string, unknown>[];
  assert.deepEqual([net?.["ipv4Enabled"], net?.["ipv6Enabled"]], [true, true]);
  assert.deepEqual([typeof net?.["ipv4"], typeof net?.["ipv6"]], ["number", "number"]);
  assert.deepEqual(Object.keys(resources).toSorted(), [
    "derp-901-901a-attachment (VolumeAttachment)",
    "derp-901-901a-boot-1 (Stash)",
    "derp-901-901a-ipv4 (PrimaryIp)",
    "derp-901-901a-ipv6 (PrimaryIp)",
    "derp-901-901a-reverse-ipv4 (Rdns)",
    "derp-901-901a-reverse-ipv6 (Rdns)",
    "derp-901-901a-server (Server)",
    "derp-901-901a-volume (Volume)",
    "derp-901-firewall (Firewall)",
    "derp-901-spread (PlacementGroup)",
  ]);
  const [identity] = identities;
  assert.equal(await valueOf(identity?.ipv4), "203.0.113.7");
  assert.equal(await valueOf(identity?.ipv6), "2001:db8:7::1");
  assert.equal(resources["derp-901-901a-reverse-ipv6 (Rdns)"]?.["ipAddress"], "2001:db8:7::1");
  assert.equal(resources["derp-901-901a-reverse-ipv4 (Rdns)"]?.["dnsPtr"], "901a.derp.example.com");
});

test("one family has one address and opens nothing of the other; HTTP is open where it is asked for", async () => {
  const { resources } = await declare(
    7,
    { addresses: ["ipv4"], http: true, peerRelayPort: 40_000, certificates: "acme-ip" },
    "derp-one",
  );
  const { rules } = resources["derp-one-firewall (Firewall)"] as { rules: Record<string, unknown>[] };
  assert.deepEqual(
    rules.map(({ protocol, port, sourceIps }) => [protocol, port, sourceIps]),
    [
      ["tcp", "443", ["0.0.0.0/0"]],
      ["tcp", "80", ["0.0.0.0/0"]],
      ["udp", "3478", ["0.0.0.0/0"]],
      ["udp", "40000", ["0.0.0.0/0"]],
      ["icmp", undefined, ["0.0.0.0/0"]],
    ],
  );
  const names = Object.keys(resources);
  assert.equal(
    names.some((name) => /ipv6|Rdns/.test(name)),
    false,
  );
  const { publicNets = [] } = resources["derp-one-901a-server (Server)"] ?? {};
  const [net] = publicNets as Record<string, unknown>[];
  assert.deepEqual([net?.["ipv6Enabled"], net?.["ipv6"]], [false, undefined]);
});

test("another generation keeps its boot data under another name", async () => {
  const { resources } = await declare(10, { generation: 3 }, "derp-gen");
  assert.ok("derp-gen-901a-boot-3 (Stash)" in resources);
});
