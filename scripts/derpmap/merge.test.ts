import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildDerpMap } from "../../infra/derpmap/build.ts";
import { mapRegion } from "../../infra/testing/map-region.ts";
import { checkDerpMap } from "../../infra/derpmap/check.ts";
import type { DerpMap, DerpNode } from "../../infra/derpmap/derp-map.ts";
import { mergeMaps, type OwnedMap } from "./merge.ts";

/** A map of regions that have nothing in common with others but by what is given. */
function mapOf(ids: readonly number[], node: Partial<DerpNode> = {}, code?: string): DerpMap {
  const map = buildDerpMap(ids.map((id) => mapRegion(id, code)));
  const regions = Object.entries(map.Regions).map(([id, region]) => {
    return [id, region && { ...region, Nodes: region.Nodes.map((each) => ({ ...each, ...node })) }] as const;
  });
  return { Regions: Object.fromEntries(regions) };
}

const own = (owner: string, map: DerpMap, local: readonly number[] = []): OwnedMap => ({
  owner,
  map,
  local: new Set(local),
});

function collisionsOf(...sources: readonly OwnedMap[]): string[] {
  return mergeMaps(sources).collisions.map(({ path, message }) => `${path} ${message}`);
}

test("regions of all are in one map by their ids, and whichever map comes first, the whole is the same", () => {
  const ids = fc.uniqueArray(fc.integer({ min: 900, max: 999 }), { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(ids, fc.nat(), (all, at) => {
      const cut = 1 + (at % (all.length - 1));
      const [eu, us] = [own("eu", mapOf(all.slice(0, cut))), own("us", mapOf(all.slice(cut)))];
      const { map, collisions } = mergeMaps([eu, us]);
      assert.deepEqual(collisions, []);
      assert.equal(JSON.stringify(map), JSON.stringify(mapOf(all)));
      assert.equal(JSON.stringify(mergeMaps([us, eu]).map), JSON.stringify(map));
      assert.deepEqual(checkDerpMap(map), []);
    }),
  );
});

for (const [what, other, expected] of [
  [
    "an id",
    mapOf([901], { Name: "x", IPv4: "8.8.9.9", HostName: "x.example.com" }, "x"),
    "region 901 (x) of stack us has the id 901, and so has region 901 (r901) of stack eu",
  ],
  [
    "a code",
    mapOf([902], {}, "r901"),
    "region 902 (r901) of stack us has the code r901, and so has region 901 (r901) of stack eu",
  ],
  [
    "a node's name",
    mapOf([902], { Name: "901a" }),
    "node 901a of stack us has the name 901a, and so has node 901a of stack eu",
  ],
  [
    "an address",
    mapOf([902], { IPv4: "8.8.1.1" }),
    "node 902a of stack us has the address 8.8.1.1, and so has node 901a of stack eu",
  ],
  [
    "an address that is a host name",
    mapOf([902], { HostName: "8.8.1.1" }),
    "node 902a of stack us has the address 8.8.1.1, and so has node 901a of stack eu",
  ],
] as const) {
  test(`${what} that two maps claim is told with both owners`, () => {
    assert.deepEqual(collisionsOf(own("stack eu", mapOf([901])), own("stack us", other)), [expected]);
  });
}

test("relays on one machine share its address and not its ports", () => {
  const [one, other] = [901, 902].map((id) => mapOf([id], { IPv4: "127.0.0.1", DERPPort: 20_000 + id }));
  assert.ok(one !== undefined && other !== undefined);
  assert.deepEqual(collisionsOf(own("eu", one, [901]), own("us", other, [902])), []);
  const same = mapOf([902], { IPv4: "127.0.0.1", DERPPort: 20_901 });
  assert.match(collisionsOf(own("eu", one, [901]), own("us", same, [902])).join(), /127.0.0.1 port 20901/);
});

test("what one leaves out the whole leaves out, and how regions drain stays", () => {
  const eu: DerpMap = {
    HomeParams: { RegionScore: { 901: 100 } },
    Regions: { 5: null, ...mapOf([901]).Regions },
  };
  const us: DerpMap = {
    HomeParams: { RegionScore: { 902: 100 } },
    Regions: { 5: null, 7: null, ...mapOf([902]).Regions },
  };
  const { map, collisions } = mergeMaps([own("eu", eu), own("us", us)]);
  assert.deepEqual(collisions, []);
  assert.deepEqual(map.HomeParams, { RegionScore: { 901: 100, 902: 100 } });
  assert.deepEqual(Object.keys(map.Regions), ["5", "7", "901", "902"]);
  const omitting = mergeMaps([own("eu", eu), own("us", { ...us, OmitDefaultRegions: true })]).map;
  assert.equal(omitting.OmitDefaultRegions, true);
  assert.deepEqual(Object.keys(omitting.Regions), ["901", "902"]);
});
