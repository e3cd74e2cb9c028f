import assert from "node:assert/strict";
import { test } from "node:test";
import { buildDerpMap, type MapNode } from "./build.ts";

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
    { id: 902, code: "bravo", name: "Bravo", nodes: [node("902b"), node("902a")] },
    { id: 901, code: "alfa", name: "Alfa", nodes: [] },
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
