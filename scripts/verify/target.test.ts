import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import { listAddresses, listTargets } from "./target.ts";

const node = (Name: string, RegionID: number, fields: object = {}): object => ({
  Name,
  RegionID,
  HostName: "relay.example",
  ...fields,
});
const map = parseDerpMap(
  JSON.stringify({
    Regions: {
      901: {
        RegionID: 901,
        RegionCode: "alfa",
        RegionName: "A",
        Nodes: [node("901a", 901), node("901b", 901)],
      },
      902: { RegionID: 902, RegionCode: "bravo", RegionName: "B", Nodes: [node("902a", 902)] },
    },
  }),
);

test("without a selection every node of the map is a target, in its order", () => {
  assert.deepEqual(
    listTargets(map).map((target) => [target.region, target.node.Name]),
    [
      ["alfa", "901a"],
      ["alfa", "901b"],
      ["bravo", "902a"],
    ],
  );
});

test("regions are selected by code or id, nodes by name, and both narrow the choice", () => {
  const names = (selection: Parameters<typeof listTargets>[1]): string[] =>
    listTargets(map, selection).map((target) => target.node.Name);
  assert.deepEqual(names({ regions: ["alfa"] }), ["901a", "901b"]);
  assert.deepEqual(names({ regions: ["902"] }), ["902a"]);
  assert.deepEqual(names({ nodes: ["901b", "902a"] }), ["901b", "902a"]);
  assert.deepEqual(names({ regions: ["bravo"], nodes: ["901b"] }), []);
});

test("an address is used, an empty one is asked of DNS, and anything else switches the family off", () => {
  const families = (fields: object): unknown => {
    const one = { 901: { RegionID: 901, RegionCode: "alfa", Nodes: [node("901a", 901, fields)] } };
    return listTargets(parseDerpMap(JSON.stringify({ Regions: one }))).map((target) =>
      listAddresses(target.node),
    )[0];
  };
  const ipv4 = (address?: string): object => ({ family: "ipv4", address });
  const ipv6 = (address?: string): object => ({ family: "ipv6", address });
  assert.deepEqual(families({}), [ipv4(), ipv6()]);
  assert.deepEqual(families({ IPv4: "192.0.2.1", IPv6: "none" }), [ipv4("192.0.2.1")]);
  assert.deepEqual(families({ IPv4: "2001:db8::1", IPv6: "2001:db8::1" }), [ipv6("2001:db8::1")]);
  assert.deepEqual(families({ HostName: "192.0.2.1" }), [ipv4("192.0.2.1")]);
  assert.deepEqual(families({ HostName: "2001:db8::1", IPv4: "192.0.2.1" }), [
    ipv4("192.0.2.1"),
    ipv6("2001:db8::1"),
  ]);
});
