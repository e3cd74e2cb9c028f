import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildDerpMap } from "./build.ts";
import { checkDerpMap, type CheckOptions } from "./check.ts";
import { mapRegion } from "../testing/map-region.ts";
import type { DerpMap, DerpNode, DerpRegion } from "./derp-map.ts";

const alice: DerpNode = {
  CertName: "",
  DERPPort: 443,
  HostName: "901a.example.com",
  IPv4: "8.8.4.1",
  IPv6: "2a01:4f8::1",
  Name: "901a",
  RegionID: 901,
  STUNPort: 3478,
};
const bob: DerpNode = {
  ...alice,
  HostName: "902a.example.com",
  IPv4: "8.8.4.2",
  IPv6: "none",
  Name: "902a",
  RegionID: 902,
};

function regionWith(node: Partial<DerpNode> = {}, region: Partial<DerpRegion> = {}): DerpRegion {
  return { RegionID: 901, RegionCode: "alfa", RegionName: "Alfa", Nodes: [{ ...alice, ...node }], ...region };
}

const bravo = { RegionID: 902, RegionCode: "bravo", RegionName: "Bravo", Nodes: [bob] };

function problemsOf(map: DerpMap, options?: CheckOptions): string[] {
  return checkDerpMap(map, options).map(({ path, message }) => `${path}: ${message}`);
}

test("a map of ours has no mistakes, whatever its nodes' certificates and ports are", () => {
  const nodes = [{}, { CertName: "other.example.com" }, { CertName: `sha256-raw:${"0a".repeat(32)}` }];
  for (const node of [...nodes, { DERPPort: 8443 }, { STUNPort: -1 }, { HostName: alice.IPv4 }]) {
    assert.deepEqual(problemsOf({ Regions: { 901: regionWith(node), 902: bravo, 5: null } }), []);
  }
});

for (const [what, node, expected] of [
  ["a name that is none", { HostName: "no name" }, /HostName: has to be a DNS name/],
  [
    "a pin that is not known",
    { CertName: "sha256-raw:00" },
    /CertName: has to be empty, a DNS name, or sha256-raw/,
  ],
  ["a port as text", { DERPPort: Object("443") }, /DERPPort: has to be a number/],
  ["a port that is none", { STUNPort: 70_000 }, /STUNPort: has to be a number/],
  ["an unchecked certificate", { InsecureForTests: true }, /InsecureForTests: .* for tests only/],
  ["a STUN server for tests", { STUNTestIP: "127.0.0.1" }, /STUNTestIP: is for tests only/],
  [
    "an address of the other family",
    { IPv4: "2a01:4f8::9" },
    /IPv4: is 2a01:4f8::9, which is no IPv4 address/,
  ],
  ["no address at all", { IPv4: "none", IPv6: "none" }, /Nodes\[0\]: has no address of either family/],
  [
    "the address of another node",
    { IPv4: bob.IPv4 },
    /IPv4: is 8.8.4.2, and so is Regions.901.Nodes\[0\].IPv4/,
  ],
  ["the name of another node", { Name: "902a" }, /Name: is 902a, and so is Regions.901.Nodes\[0\].Name/],
  ["another region's id", { RegionID: 902 }, /RegionID: is 902, not 901/],
] as const) {
  test(`no tailnet is given ${what}`, () => {
    const problems = problemsOf({ Regions: { 901: regionWith(node), 902: bravo } });
    assert.match(problems.join("\n"), expected);
    assert.equal(problems.length, 1);
  });
}

for (const address of ["10.0.0.1", "100.100.100.100", "192.0.2.7", "127.0.0.1"]) {
  test(`${address} is an address for a stack on this machine only`, () => {
    const Regions = {
      901: regionWith({ IPv4: address }),
      902: { ...bravo, Nodes: [{ ...bob, IPv4: address }] },
    };
    assert.match(problemsOf({ Regions })[0] ?? "", /which the Internet has no way to/);
    assert.deepEqual(problemsOf({ Regions }, { local: true }), []);
  });
}

test("one spelling of an IPv6 address is as good as the other when it is taken twice", () => {
  const Regions = { 901: regionWith(), 902: { ...bravo, Nodes: [{ ...bob, IPv6: "2A01:4F8:0::0001" }] } };
  assert.deepEqual(problemsOf({ Regions }), [
    "Regions.902.Nodes[0].IPv6: is 2a01:4f8::1, and so is Regions.901.Nodes[0].IPv6",
  ]);
});

test("ids, codes and names have to be ours", () => {
  const Regions = {
    899: regionWith({ RegionID: 899 }, { RegionID: 899, RegionCode: "fra" }),
    902: { ...bravo, RegionName: "", RegionCode: "" },
    903: { ...bravo, RegionID: 903, RegionCode: "charlie", Nodes: [] },
    904: {
      ...bravo,
      RegionID: 904,
      RegionCode: "charlie",
      Nodes: [{ ...bob, Name: "904a", RegionID: 904, IPv4: "8.8.4.4" }],
    },
  };
  assert.deepEqual(
    problemsOf({ Regions }).map((problem) => problem.split(/[:;]/, 2).join(":")),
    [
      "Regions.899.RegionID: is 899",
      "Regions.899.RegionCode: is fra, the code of one of Tailscale's own regions",
      "Regions.902.RegionCode: is missing",
      "Regions.902.RegionName: is missing",
      "Regions.903.Nodes: has no relay",
      "Regions.904.RegionCode: is charlie, and so is Regions.903.RegionCode",
    ],
  );
});

test("null is for Tailscale's regions, and for none where all are left out", () => {
  const Regions = { 5: null, 901: regionWith(), 902: bravo, 950: null };
  assert.match(problemsOf({ Regions }).join(), /^Regions.950: is null, .* the id of none/);
  assert.match(
    problemsOf({ OmitDefaultRegions: true, Regions }).join(),
    /Regions.5: .* none of Tailscale's regions/,
  );
});

test("without Tailscale's regions two of ours have to be able to be a home", () => {
  const alone = (map: Omit<DerpMap, "OmitDefaultRegions">): string[] =>
    problemsOf({ OmitDefaultRegions: true, ...map });
  const both = { 901: regionWith(), 902: bravo };
  assert.deepEqual(alone({ Regions: both }), []);
  const missing = /OmitDefaultRegions: is true, and 1 of/;
  assert.match(alone({ Regions: { 901: regionWith() } }).join(), missing);
  assert.match(alone({ Regions: { ...both, 902: { ...bravo, NoMeasureNoHome: true } } }).join(), missing);
  assert.match(alone({ HomeParams: { RegionScore: { 902: 100 } }, Regions: both }).join(), missing);
});

test("a score is of a region in the map, and above 0", () => {
  const HomeParams = { RegionScore: { 901: 0, 903: 100 } };
  assert.match(
    problemsOf({ HomeParams, Regions: { 901: regionWith() } }).join("\n"),
    /RegionScore.901: is 0[^]*RegionScore.903: is of a region that is not in the map/,
  );
});

test("what is built of regions with their own ids, codes, names and addresses has no mistakes", () => {
  const regions = fc
    .uniqueArray(fc.integer({ min: 900, max: 999 }), { minLength: 2 })
    .map((ids) => ids.map((id) => mapRegion(id)));
  fc.assert(
    fc.property(regions, fc.boolean(), (all, omitDefaultRegions) => {
      assert.deepEqual(checkDerpMap(buildDerpMap(all, { omitDefaultRegions })), []);
    }),
  );
});
