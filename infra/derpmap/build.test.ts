import assert from "node:assert/strict";
import { test } from "node:test";
import { buildDerpMap, isPublished, type MapNode } from "./build.ts";

const node = (name: string): MapNode => ({
  name,
  hostName: `${name}.derp.example.com`,
  certName: "",
  ipv4: "192.0.2.1",
  ipv6: "none",
  derpPort: 443,
  stunPort: 3478,
});

test("regions are in the order of their ids, nodes in the order of priority, keys as Go prints a map", () => {
  const map = buildDerpMap([
    { id: 902, code: "bravo", name: "Bravo", state: "serving", nodes: [node("902b"), node("902a")] },
    { id: 901, code: "alfa", name: "Alfa", state: "serving", nodes: [] },
  ]);
  assert.equal(
    JSON.stringify(map, null, 2),
    `{
  "Regions": {
    "901": {
      "Nodes": [],
      "RegionCode": "alfa",
      "RegionID": 901,
      "RegionName": "Alfa"
    },
    "902": {
      "Nodes": [
        {
          "CertName": "",
          "DERPPort": 443,
          "HostName": "902b.derp.example.com",
          "IPv4": "192.0.2.1",
          "IPv6": "none",
          "Name": "902b",
          "RegionID": 902,
          "STUNPort": 3478
        },
        {
          "CertName": "",
          "DERPPort": 443,
          "HostName": "902a.derp.example.com",
          "IPv4": "192.0.2.1",
          "IPv6": "none",
          "Name": "902a",
          "RegionID": 902,
          "STUNPort": 3478
        }
      ],
      "RegionCode": "bravo",
      "RegionID": 902,
      "RegionName": "Bravo"
    }
  }
}`,
  );
});

test("nobody makes a canary or a draining region their home, and both can be reached", () => {
  const flags = (["canary", "serving", "draining"] as const).map((state) => {
    const map = buildDerpMap([{ id: 901, code: "alfa", name: "Alfa", state, nodes: [node("901a")] }]);
    return [map.Regions["901"]?.NoMeasureNoHome, map.Regions["901"]?.Nodes.length];
  });
  assert.deepEqual(flags, [
    [true, 1],
    [undefined, 1],
    [true, 1],
  ]);
});

test("a region is not published when it is retired, or when the pin of one of its nodes is not known", () => {
  const pending = { ...node("901b"), certName: "pending" };
  assert.equal(isPublished({ state: "serving", nodes: [node("901a")] }), true);
  assert.equal(isPublished({ state: "retired", nodes: [node("901a")] }), false);
  assert.equal(isPublished({ state: "serving", nodes: [node("901a"), pending] }), false);
});

test("one that drains by its score is measured like any other, and counts a hundred times", () => {
  const regions = (["draining", "canary", "serving"] as const).map((state, index) => {
    return { id: 901 + index, code: `r${index}`, name: "R", state, nodes: [node(`90${index + 1}a`)] };
  });
  const { HomeParams, Regions } = buildDerpMap(regions, { drainBy: "score" });
  assert.deepEqual(HomeParams, { RegionScore: { 901: 100, 902: 1, 903: 1 } });
  assert.deepEqual(
    ["901", "902", "903"].map((id) => Regions[id]?.NoMeasureNoHome),
    [undefined, true, undefined],
  );
});

test("the score of a region that drains no more is taken back: clients keep one of which they are told nothing", () => {
  const region = { id: 901, code: "alfa", name: "Alfa", state: "serving", nodes: [node("901a")] } as const;
  assert.deepEqual(buildDerpMap([region], { drainBy: "score" }).HomeParams, { RegionScore: { 901: 1 } });
  assert.equal("HomeParams" in buildDerpMap([region]), false);
  assert.equal("HomeParams" in buildDerpMap([], { drainBy: "score" }), false);
});

test("Tailscale's regions are left out all at once or one by one, before ours", () => {
  const ours = { id: 901, code: "alfa", name: "Alfa", state: "serving", nodes: [] } as const;
  assert.equal(
    JSON.stringify(buildDerpMap([ours], { omitDefaultRegions: true, dropTailscaleRegions: [12, 5] })),
    '{"OmitDefaultRegions":true,"Regions":{"5":null,"12":null,"901":{"Nodes":[],"RegionCode":"alfa","RegionID":901,"RegionName":"Alfa"}}}',
  );
});
