import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import type { DerpMap } from "../../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import { renderMap } from "./formats.ts";

const map: DerpMap = {
  HomeParams: { RegionScore: { 901: 100 } },
  Regions: {
    5: null,
    901: {
      Nodes: [
        {
          CertName: "sha256-raw:00",
          DERPPort: 8443,
          HostName: "901a.example.com",
          IPv4: "8.8.4.1",
          IPv6: "none",
          Name: "901a",
          RegionID: 901,
          STUNPort: 3478,
        },
      ],
      RegionCode: "no",
      RegionID: 901,
      RegionName: "Alfa: rack 1",
    },
  },
};

test("Headscale's file has the fields' own names in lower case, numbers as numbers, and null for what is left out", () => {
  assert.equal(
    renderMap({ ...map, OmitDefaultRegions: true }, "headscale"),
    `# A DERP map for Headscale: name this file in derp.paths of its configuration.
# Tailscale's own regions are to be left out: set derp.urls to [] there.

regions:
  5: null
  901:
    nodes:
      - certname: sha256-raw:00
        derpport: 8443
        hostname: 901a.example.com
        ipv4: 8.8.4.1
        ipv6: none
        name: 901a
        regionid: 901
        stunport: 3478
    regioncode: "no"
    regionid: 901
    regionname: "Alfa: rack 1"
    nomeasurenohome: true`,
  );
});

test("Headscale's file without scores says nothing of homes, and is read back as what it was", () => {
  const fit = { Regions: { ...map.Regions, 901: { ...map.Regions["901"], Nodes: [] } } };
  const text = renderMap(JSON.parse(JSON.stringify(fit)), "headscale");
  assert.doesNotMatch(text, /nomeasurenohome|derp\.urls/);
  assert.deepEqual(parseDerpMap(JSON.stringify(parse(text))), fit);
});

test("derpprobe gets our regions alone: it looks at each that is there, and stumbles over null", () => {
  assert.deepEqual(JSON.parse(renderMap(map, "derpprobe")), { Regions: { 901: map.Regions["901"] } });
});

test("the tailnet gets all of it", () => {
  assert.deepEqual(JSON.parse(renderMap(map, "tailnet")), map);
});
