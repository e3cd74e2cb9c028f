import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KitError } from "../../relay/errors.ts";
import { buildDerpMap } from "./build.ts";
import { parseDerpMap } from "./parse.ts";

function problemsOf(value: unknown): string[] {
  try {
    parseDerpMap(JSON.stringify(value));
  } catch (error) {
    assert.ok(error instanceof KitError, String(error));
    assert.equal(error.code, "derpmap-invalid");
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const alice = { Name: "901a", RegionID: 901, HostName: "901a.example.com" };

test("what is built is read back unchanged, bare or inside a document", () => {
  const ports = fc.integer({ min: 1, max: 65_535 });
  const node = (name: string) =>
    fc.record({
      name: fc.constant(name),
      hostName: fc.domain(),
      certName: fc.constantFrom("", "other.example.com", `sha256-raw:${"0a".repeat(32)}`),
      ipv4: fc.oneof(fc.ipV4(), fc.constantFrom("", "none")),
      ipv6: fc.oneof(fc.ipV6(), fc.constantFrom("", "none")),
      derpPort: ports,
      stunPort: fc.oneof(ports, fc.constant(-1)),
    });
  const region = (id: number) =>
    fc.record({
      id: fc.constant(id),
      code: fc.string(),
      name: fc.string(),
      state: fc.constantFrom("canary", "serving", "draining"),
      nodes: fc.tuple(node(`${id}a`), node(`${id}b`)),
    });
  const policies = fc.record({
    drainBy: fc.constantFrom("score", "noMeasureNoHome"),
    omitDefaultRegions: fc.boolean(),
    dropTailscaleRegions: fc.uniqueArray(fc.integer({ min: 1, max: 899 })),
  });
  fc.assert(
    fc.property(fc.tuple(region(901), region(950)), policies, (regions, policy) => {
      const map = buildDerpMap(regions, policy);
      assert.equal(JSON.stringify(parseDerpMap(JSON.stringify(map))), JSON.stringify(map));
      assert.deepEqual(parseDerpMap(JSON.stringify({ ok: true, derpMap: map })), map);
    }),
  );
});

test("names are taken in any case, zero ports get the standard one, what is null takes a region out, unknown fields are left out", () => {
  const headscale = {
    derpmap: {
      regions: {
        901: {
          regionid: 901,
          regioncode: "alfa",
          regionname: "Alfa",
          avoid: true,
          nodes: [
            {
              name: "901a",
              regionid: 901,
              hostname: "h.example.com",
              stunport: 0,
              derpport: null,
              canport80: true,
              color: "red",
            },
          ],
        },
        12: null,
      },
    },
  };
  assert.deepEqual(parseDerpMap(JSON.stringify(headscale)), {
    Regions: {
      12: null,
      901: {
        Avoid: true,
        Nodes: [
          {
            CanPort80: true,
            CertName: "",
            DERPPort: 443,
            HostName: "h.example.com",
            IPv4: "",
            IPv6: "",
            Name: "901a",
            RegionID: 901,
            STUNPort: 3478,
          },
        ],
        RegionCode: "alfa",
        RegionID: 901,
        RegionName: "Alfa",
      },
    },
  });
});

test("that a node is for STUN only is kept", () => {
  const flags = [true, false, null, undefined];
  const nodes = flags.map((STUNOnly, index) => ({ ...alice, Name: `901${index}`, STUNOnly }));
  const map = parseDerpMap(JSON.stringify({ Regions: { 901: { RegionID: 901, Nodes: nodes } } }));
  assert.deepEqual(
    map.Regions["901"]?.Nodes.map((node) => node.STUNOnly),
    [true, false, false, undefined],
  );
  assert.deepEqual(problemsOf({ Regions: { 901: { RegionID: 901, Nodes: [{ ...alice, STUNOnly: 1 }] } } }), [
    "Regions.901.Nodes[0].STUNOnly: has to be true or false",
  ]);
});

test("every mistake in the fields is reported at once", () => {
  const nodes = [
    { ...alice, HostName: "", DERPPort: "443", STUNPort: -2, IPv4: 1, CertName: "sha256-raw:ABC" },
    { Name: "x", RegionID: 1.5, HostName: "h" },
    null,
  ];
  assert.deepEqual(problemsOf({ Regions: { 901: { Nodes: nodes } } }), [
    "Regions.901.Nodes[0].CertName: has to be sha256-raw: and 64 lower-case hex digits",
    "Regions.901.Nodes[0].DERPPort: has to be a number, not text",
    "Regions.901.Nodes[0].HostName: is missing or empty",
    "Regions.901.Nodes[0].IPv4: has to be text",
    "Regions.901.Nodes[0].STUNPort: has to be from -1 to 65535",
    "Regions.901.Nodes[1].RegionID: has to be a whole number",
    "Regions.901.Nodes[2]: has to be a node: an object",
    "Regions.901.RegionID: is missing, or less than 1",
  ]);
});

test("ids that do not agree and names that occur twice are reported", () => {
  const map = {
    Regions: {
      901: { RegionID: 901, Nodes: [alice, { ...alice, RegionID: 902 }] },
      903: { RegionID: 902, Nodes: [] },
    },
  };
  assert.deepEqual(problemsOf(map), [
    "Regions.901.Nodes[1].RegionID: is 902, not 901",
    "Regions.901.Nodes[1].Name: is 901a, and so is Regions.901.Nodes[0].Name",
    "Regions.903.RegionID: is 902, not 903",
  ]);
});

test("what is no derpMap is refused, whatever it is", () => {
  assert.throws(() => parseDerpMap("{"), /not JSON/);
  assert.throws(() => parseDerpMap("[".repeat(100_000)), KitError);
  assert.deepEqual(problemsOf({}), ["Regions: is missing"]);
  assert.deepEqual(problemsOf("x"), ["derpMap: has to be a derpMap: an object with Regions"]);
  assert.deepEqual(problemsOf({ Regions: 1 }), ["Regions: has to be an object with regions by their ids"]);
  assert.deepEqual(problemsOf({ Regions: { 12: null } }), ["Regions: is empty: there is no relay in it"]);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.ok(problemsOf(value).length > 0);
    }),
  );
});
