import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { Cloud, NodeFacts } from "./clouds/cloud.ts";
import { RelayFleet } from "./relay-fleet.ts";

/** What was registered: `name (type)`, in no particular order. */
let registered: string[] = [];

before(async () => {
  const newResource = ({ name, type, inputs }: pulumi.runtime.MockResourceArgs) => {
    registered.push(`${name} (${type})`);
    return { id: name, state: inputs };
  };
  await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "derpkit", "test", true);
});

/** A cloud whose machines have the addresses that `addressOf` gives; it notes what it is asked for. */
function fakeCloud(addressOf: (node: string) => pulumi.Input<string>) {
  const asked: string[] = [];
  const createMachine = (node: string, name: string, { parent }: pulumi.ResourceOptions): NodeFacts => {
    asked.push(`${node}: ${name}, child of ${parent?.constructor.name}`);
    return {
      certName: "",
      ipv4: addressOf(node),
      ipv6: "none",
      derpPort: 443,
      stunPort: 3478,
      listen: ":443",
    };
  };
  const cloud: Cloud = { createMachine };
  return { asked, cloud };
}

/** A value that only the cloud knows, as in a preview. */
function knownAfterUp(): pulumi.Output<string> {
  return pulumi.output(pulumi.unknown).apply(String);
}

async function valueOf<Value>(output: pulumi.Output<Value>): Promise<pulumi.Unwrap<Value>> {
  return new Promise((resolve) => pulumi.output(output).apply(resolve));
}

test("a fleet is a component for each region and node, whose names come from ids and not from places in a list", async () => {
  const { asked, cloud } = fakeCloud((node) => `192.0.2.${node.charCodeAt(3) - 96}`);
  registered = [];
  const nodes = [
    { name: "902b", hostName: "b.example" },
    { name: "902a", hostName: pulumi.output("a.example") },
  ];
  const fleet = new RelayFleet("derp", {
    regions: [
      { regionId: 902, regionCode: "bravo", regionName: pulumi.output("Bravo"), nodes, cloud },
      {
        regionId: 901,
        regionCode: "alfa",
        regionName: "Alfa",
        nodes: [{ name: "901a", hostName: "c.example" }],
        cloud,
      },
    ],
  });
  const map = await valueOf(fleet.derpMap);
  assert.deepEqual(registered.toSorted(), [
    "derp (derpkit:index:RelayFleet)",
    "derp-901 (derpkit:index:RelayRegion)",
    "derp-901-901a (derpkit:index:RelayNode)",
    "derp-902 (derpkit:index:RelayRegion)",
    "derp-902-902a (derpkit:index:RelayNode)",
    "derp-902-902b (derpkit:index:RelayNode)",
  ]);
  assert.deepEqual(asked.toSorted(), [
    "901a: derp-901-901a, child of RelayNode",
    "902a: derp-902-902a, child of RelayNode",
    "902b: derp-902-902b, child of RelayNode",
  ]);
  assert.deepEqual(
    map.Regions["902"]?.Nodes.map(({ Name, HostName, IPv4 }) => [Name, HostName, IPv4]),
    [
      ["902b", "b.example", "192.0.2.2"],
      ["902a", "a.example", "192.0.2.1"],
    ],
  );
  assert.deepEqual(
    (await valueOf(fleet.nodes)).map(({ name }) => name),
    ["901a", "902b", "902a"],
  );
});

test("a node's description has sorted keys and the relay's configuration", async () => {
  const { cloud } = fakeCloud(() => "192.0.2.1");
  const nodes = [{ name: "901a", hostName: "a.example" }];
  const fleet = new RelayFleet("sorted", {
    regions: [{ regionId: 901, regionCode: "alfa", regionName: "Alfa", nodes, cloud }],
  });
  const [node] = await valueOf(fleet.nodes);
  assert.ok(node !== undefined);
  assert.deepEqual(Object.keys(node), Object.keys(node).toSorted());
  assert.deepEqual(node, {
    certName: "",
    derpPort: 443,
    hostName: "a.example",
    ipv4: "192.0.2.1",
    ipv6: "none",
    name: "901a",
    regionCode: "alfa",
    regionId: 901,
    relayConfig: { certMode: "pinned", hostname: "a.example", httpPort: -1 },
    stunPort: 3478,
  });
});

test("an address that only the cloud knows leaves the derpMap to be known after up, and stops nothing", async () => {
  const { cloud } = fakeCloud(knownAfterUp);
  registered = [];
  const nodes = [{ name: "903a", hostName: "a.example" }];
  const fleet = new RelayFleet("later", {
    regions: [{ regionId: 903, regionCode: "charlie", regionName: "Charlie", nodes, cloud }],
  });
  const applied = fleet.derpMap.apply(() => assert.fail("the map is not known"));
  await valueOf(fleet.urn);
  await pulumi.runtime.disconnect();
  assert.ok(registered.includes("later-903-903a (derpkit:index:RelayNode)"));
  assert.ok(pulumi.Output.isInstance(applied));
});
