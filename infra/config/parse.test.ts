import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KitError, renderError } from "../../relay/errors.ts";
import type { FleetConfig } from "./fleet.ts";
import { isDnsName } from "./names.ts";
import { parseFleetConfig } from "./parse.ts";
import { fleetSchema, nodeSchema, regionSchema } from "./schema.ts";

/** Reads a configuration given as Pulumi gives it: text, JSON for lists and mappings. */
function parse(config: Readonly<Record<string, unknown>>, secretKeys: readonly string[] = []): FleetConfig {
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  return parseFleetConfig({ where: "stack test", values, secretKeys: new Set(secretKeys) });
}

/** The problems of a configuration, each as `path: message`. */
function problemsOf(config: Readonly<Record<string, unknown>>, secretKeys: readonly string[] = []): string[] {
  try {
    parse(config, secretKeys);
  } catch (error) {
    assert.ok(error instanceof KitError, String(error));
    assert.equal(error.code, "config-invalid");
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const [fleetKeys, regionKeys, nodeKeys] = [fleetSchema, regionSchema, nodeSchema].map(({ entries }) =>
  Object.keys(entries).join(", "),
);

const alfa = { id: 901, code: "alfa", name: "Alfa", cloud: "local" };
/** What a node has that nobody has written. */
const unset = { derpPort: undefined, stunPort: undefined, pin: undefined };
const bravo = { id: 902, code: "bravo", name: "Bravo", cloud: "local" };

test("a region without nodes gets one, named after the id and in the default domain", () => {
  const { domain, regions, dns } = parse({ "derpkit:regions": [alfa] });
  assert.deepEqual([domain, dns.provider, dns.ttl], ["derpkit.internal", "none", 300]);
  assert.deepEqual(regions, [
    {
      ...alfa,
      location: "",
      size: "",
      image: undefined,
      addresses: ["ipv4", "ipv6"],
      certificates: "pinned",
      admission: {},
      clientRate: undefined,
      state: "serving",
      wave: 1,
      generation: 1,
      icmpEcho: true,
      http: false,
      peerRelayPort: undefined,
      skipGate: undefined,
      mesh: undefined,
      statusToken: undefined,
      nodes: [{ ...unset, name: "901a", hostName: "901a.derpkit.internal" }],
    },
  ]);
});

test("what is written wins over every default, and keys of others are passed over", () => {
  const nodes = [{}, { name: "fra1" }, { hostName: "derp.example.org", derpPort: 8443, stunPort: 13_478 }];
  const fleet = parse({
    "derpkit:domain": "derp.example.com",
    "derpkit:regions": [{ ...bravo, nodes }, alfa],
    "aws:region": "eu-central-1",
  });
  assert.deepEqual(
    fleet.regions.map(({ id }) => id),
    [902, 901],
  );
  assert.deepEqual(fleet.regions[0]?.nodes, [
    { ...unset, name: "902a", hostName: "902a.derp.example.com" },
    { ...unset, name: "fra1", hostName: "fra1.derp.example.com" },
    { ...unset, name: "902c", hostName: "derp.example.org", derpPort: 8443, stunPort: 13_478 },
  ]);
});

test("true and false at the top are what they say, as YAML has them and as text", () => {
  const regions = [alfa];
  const { map } = parse({
    "derpkit:regions": regions,
    "derpkit:dropTailscaleRegions": [5],
    "derpkit:drainBy": "score",
  });
  assert.deepEqual(map, { omitDefaultRegions: false, dropTailscaleRegions: [5], drainBy: "score" });
  assert.match(
    problemsOf({ "derpkit:regions": regions, "derpkit:omitDefaultRegions": true }).join("\n"),
    /omitDefaultRegions: is true: clients[^]*derpkit:regions: is too little for omitDefaultRegions.*at this machine/,
  );
  assert.deepEqual(problemsOf({ "derpkit:regions": regions, "derpkit:omitDefaultRegions": "yes" }), [
    'derpkit:omitDefaultRegions: is "yes"; write true or false',
  ]);
});

test("every mistake is reported at once, with its path and what to write", () => {
  const problems = problemsOf({
    "derpkit:domain": "Derp_Example",
    "derpkit:regions": [
      { id: 5, code: "nyc", name: "", cloud: "azure" },
      { id: "901", code: "Alfa", name: "two\nlines", cloud: "local", nodes: [] },
      {
        id: 902,
        code: "bravo",
        name: "Bravo",
        cloud: "local",
        nodes: [{ derpPort: "443", stunPort: 0, hostName: "-x" }],
      },
    ],
  });
  assert.deepEqual(problems, [
    'derpkit:domain: is "Derp_Example"; write a DNS name in lower case without a final dot, 189 characters at most, for example derp.example.com',
    'derpkit:regions[0].cloud: is "azure"; write one of the clouds of this version: local, hetzner, aws',
    'derpkit:regions[0].code: is "nyc", the code of one of Tailscale\'s own regions; choose another',
    "derpkit:regions[0].id: is 5; write a whole number from 900 to 999",
    "derpkit:regions[0].name: is empty; write one line of text, 100 characters at most, without spaces around it",
    'derpkit:regions[1].code: is "Alfa"; write a short code: lower-case letters, digits and inner hyphens, 20 at most',
    'derpkit:regions[1].id: is "901"; write a whole number from 900 to 999, without quotes',
    'derpkit:regions[1].name: is "two\\nlines"; write one line of text, 100 characters at most, without spaces around it',
    "derpkit:regions[1].nodes: has 0 nodes; write 1 to 26, or leave the key out for one node",
    'derpkit:regions[2].nodes[0].derpPort: is "443"; write a whole number from 1 to 65535, without quotes',
    'derpkit:regions[2].nodes[0].hostName: is "-x"; write a DNS name in lower case without a final dot, for example 901a.derp.example.com',
    "derpkit:regions[2].nodes[0].stunPort: is 0; write a whole number from 1 to 65535",
  ]);
});

test("a node cannot have the name of a folder that lies beside those of the nodes", () => {
  assert.deepEqual(problemsOf({ "derpkit:regions": [{ ...alfa, nodes: [{ name: "delivery" }] }] }), [
    'derpkit:regions[0].nodes[0].name: is "delivery", which names the folder of what is delivered; choose another',
  ]);
});

test("what a terminal would obey is shown as an escape, in values and in keys", () => {
  const problems = problemsOf({
    "derpkit:a\u001B[2Jb\nc": "1",
    "derpkit:domain": "\u009B2J\u202E",
    "derpkit:regions": [{ ...alfa, name: "\u202Ealfa", "\u007F": 1 }],
  });
  assert.deepEqual(
    problems.map((problem) => problem.split(";")[0]),
    [
      'derpkit:"a\\u001b[2Jb\\nc": is not a known key',
      'derpkit:domain: is "\\u{9b}2J\\u{202e}"',
      'derpkit:regions[0].name: is "\\u{202e}alfa"',
      'derpkit:regions[0]["\\u{7f}"]: is not a known key',
    ],
  );
});

test("a missing key says what belongs there", () => {
  assert.deepEqual(problemsOf({}), [
    "derpkit:regions: is missing; write a list of regions, each with id, code, name and cloud",
  ]);
  assert.deepEqual(problemsOf({ "derpkit:regions": [] }), ["derpkit:regions: has 0 regions; write 1 to 100"]);
  assert.deepEqual(problemsOf({ "derpkit:regions": [{ ...alfa, id: undefined, cloud: null }] }), [
    "derpkit:regions[0].cloud: is empty; write one of the clouds of this version: local, hetzner, aws",
    "derpkit:regions[0].id: is missing; write a whole number from 900 to 999",
  ]);
});

test("every unknown key is named, with the known one that was probably meant", () => {
  const nodes = [{ derpport: 443, hostname: "a.b", weight: 1 }];
  assert.deepEqual(
    problemsOf({ "derpkit:region": "x", "derpkit:regions": [{ ...alfa, nodes, latitude: 1 }] }),
    [
      "derpkit:region: is not a known key; did you mean regions?",
      `derpkit:regions[0].latitude: is not a known key; remove it (known here: ${regionKeys})`,
      "derpkit:regions[0].nodes[0].derpport: is not a known key; did you mean derpPort?",
      "derpkit:regions[0].nodes[0].hostname: is not a known key; did you mean hostName?",
      `derpkit:regions[0].nodes[0].weight: is not a known key; remove it (known here: ${nodeKeys})`,
    ],
  );
});

test("a list in the place of a mapping, and the other way round, is named", () => {
  assert.deepEqual(problemsOf({ "derpkit:regions": [[], { ...alfa, nodes: [["901a"]] }, "x"] }), [
    `derpkit:regions[0]: is a list; write a mapping with ${regionKeys}`,
    `derpkit:regions[1].nodes[0]: is a list; write a mapping with ${nodeKeys}`,
    `derpkit:regions[2]: is "x"; write a mapping with ${regionKeys}`,
  ]);
  assert.deepEqual(problemsOf({ "derpkit:regions": { "901": alfa } }), [
    "derpkit:regions: is a mapping; write a list of regions, each with id, code, name and cloud",
  ]);
});

test("a collision is found although another region is malformed", () => {
  const nodes = [{ name: "n1", hostName: "a.example.com", derpPort: 8443, stunPort: 8443 }];
  assert.deepEqual(problemsOf({ "derpkit:regions": [{ ...alfa, nodes }, null, { ...alfa, nodes }] }), [
    `derpkit:regions[1]: is empty; write a mapping with ${regionKeys}`,
    'derpkit:regions[2].code: is "alfa", and so is derpkit:regions[0].code; each region code may occur once',
    "derpkit:regions[2].id: is 901, and so is derpkit:regions[0].id; each region id may occur once",
    "derpkit:regions[2].nodes[0].derpPort: is 8443, and so is derpkit:regions[0].nodes[0].derpPort; each TCP port on this machine may occur once",
    'derpkit:regions[2].nodes[0].hostName: is "a.example.com", and so is derpkit:regions[0].nodes[0].hostName; each host name may occur once',
    'derpkit:regions[2].nodes[0].name: is "n1", and so is derpkit:regions[0].nodes[0].name; each node name may occur once',
    "derpkit:regions[2].nodes[0].stunPort: is 8443, and so is derpkit:regions[0].nodes[0].stunPort; each UDP port on this machine may occur once",
  ]);
});

test("a name that equals another's default is a collision, and defaults add none of their own", () => {
  assert.deepEqual(problemsOf({ "derpkit:regions": [alfa, { ...bravo, nodes: [{ name: "901a" }] }] }), [
    'derpkit:regions[1].nodes[0].name: is "901a", and so is derpkit:regions[0].nodes[0].name; each node name may occur once',
  ]);
  assert.deepEqual(problemsOf({ "derpkit:regions": [alfa, { ...bravo, id: 901 }] }), [
    "derpkit:regions[1].id: is 901, and so is derpkit:regions[0].id; each region id may occur once",
  ]);
});

test("a secret inside a region is refused wherever it is, even below an unknown key", () => {
  const secure = { secure: "v1:ciphertext" };
  const problems = problemsOf({
    "derpkit:regions": [{ ...alfa, name: secure, nodes: [{ hostName: secure }], tokens: [{ deep: secure }] }],
  });
  const secret =
    "is or holds a secret, which would end up in clear in the state or the derpMap; write it without --secret or secure:";
  assert.deepEqual(problems, [
    `derpkit:regions[0].name: ${secret}`,
    `derpkit:regions[0].nodes[0].hostName: ${secret}`,
    `derpkit:regions[0].tokens: is not a known key; remove it (known here: ${regionKeys})`,
    `derpkit:regions[0].tokens[0].deep: ${secret}`,
  ]);
});

test("a key that the engine marks as secret is refused without a look at its value", () => {
  const config = { "derpkit:domain": "hunter2", "derpkit:regions": [{ ...alfa, name: "hunter2\n" }] };
  assert.throws(
    () => parse(config, ["derpkit:domain", "derpkit:regions"]),
    (error) => {
      const text = renderError(error);
      assert.match(text, /derpkit:domain: is or holds a secret/);
      assert.match(text, /derpkit:regions: is or holds a secret/);
      assert.doesNotMatch(text, /hunter2/);
      return true;
    },
  );
});

test("names that JavaScript's objects have of their own are keys like any other", () => {
  const region = `{"__proto__": {"id": 901}, "constructor": 1, "code": "alfa", "name": "Alfa", "cloud": "local"}`;
  assert.deepEqual(problemsOf({ "derpkit:__proto__": "x", "derpkit:regions": `[${region}]` }), [
    `derpkit:__proto__: is not a known key; remove it (known here: ${fleetKeys})`,
    `derpkit:regions[0].__proto__: is not a known key; remove it (known here: ${regionKeys})`,
    `derpkit:regions[0].constructor: is not a known key; remove it (known here: ${regionKeys})`,
    "derpkit:regions[0].id: is missing; write a whole number from 900 to 999",
  ]);
  const nodes = [{ name: "constructor" }, { name: "valueof" }];
  assert.equal(parse({ "derpkit:regions": [{ ...alfa, nodes }] }).regions[0]?.nodes[0]?.name, "constructor");
});

test("a fleet has at most 100 regions and a region at most 26 nodes", () => {
  const regions = Array.from({ length: 100 }, (_, n) => ({ ...alfa, id: 900 + n, code: `r${n}` }));
  assert.equal(parse({ "derpkit:regions": regions }).regions.length, 100);
  const tooMany = problemsOf({ "derpkit:regions": [...regions, { ...alfa, code: "more" }] });
  assert.ok(tooMany.includes("derpkit:regions: has 101 regions; write 1 to 100"), tooMany.join("\n"));
  const nodesOf = (length: number) => [{ ...alfa, nodes: Array.from({ length }, () => ({})) }];
  assert.equal(parse({ "derpkit:regions": nodesOf(26) }).regions[0]?.nodes.at(-1)?.name, "901z");
  assert.deepEqual(problemsOf({ "derpkit:regions": nodesOf(27) }), [
    "derpkit:regions[0].nodes: has 27 nodes; write 1 to 26, or leave the key out for one node",
  ]);
});

test("the longest domain still leaves room for the longest node name", () => {
  const label = "a".repeat(63);
  const domain = [label, label, "a".repeat(61)].join(".");
  const fleet = parse({
    "derpkit:domain": domain,
    "derpkit:regions": [{ ...alfa, nodes: [{ name: label }] }],
  });
  assert.ok(isDnsName(fleet.regions[0]?.nodes[0]?.hostName ?? ""));
  assert.equal(problemsOf({ "derpkit:domain": `${domain}a`, "derpkit:regions": [alfa] }).length, 1);
});

test("lists that are nested a hundred thousand deep are a mistake like any other", () => {
  const depth = 100_000;
  assert.equal(problemsOf({ "derpkit:regions": "[".repeat(depth) + "]".repeat(depth) }).length, 1);
});

test("whatever is written, either a sound fleet comes out or a list of problems", () => {
  const mostly = <Value>(arbitrary: fc.Arbitrary<Value>) =>
    fc.oneof({ weight: 9, arbitrary }, fc.jsonValue());
  const node = fc.record(
    {
      name: mostly(fc.constantFrom("a", "b", "c", "-", "")),
      hostName: mostly(fc.constantFrom("a.example", "b.example", "1.2.3.4")),
      derpPort: mostly(fc.integer({ min: 1, max: 3 })),
      stunPort: mostly(fc.integer({ min: -1, max: 70_000 })),
    },
    { requiredKeys: [] },
  );
  const region = fc.record(
    {
      id: mostly(fc.integer({ min: 899, max: 1000 })),
      code: mostly(fc.constantFrom("alfa", "bravo", "charlie", "fra", "-x")),
      name: mostly(fc.constant("Somewhere")),
      cloud: mostly(fc.constant("local")),
      nodes: mostly(fc.array(node, { maxLength: 4 })),
    },
    { requiredKeys: ["id", "code", "name", "cloud"] },
  );
  const regions = mostly(fc.array(region, { maxLength: 4 }));
  let sound = 0;
  fc.assert(
    fc.property(regions, (value) => {
      const problems = problemsOf({ "derpkit:regions": value });
      if (problems.length > 0) return;
      sound += 1;
      const fleet = parse({ "derpkit:regions": value });
      const nodes = fleet.regions.flatMap((each) => each.nodes);
      assert.ok(nodes.length >= fleet.regions.length && fleet.regions.length > 0);
      for (const key of ["name", "hostName"] as const) {
        assert.equal(new Set(nodes.map((each) => each[key])).size, nodes.length);
        assert.ok(nodes.every((each) => isDnsName(each.hostName ?? "")));
      }
      assert.equal(new Set(fleet.regions.map(({ id }) => id)).size, fleet.regions.length);
    }),
    { numRuns: 2000 },
  );
  assert.ok(sound > 0, "no sound fleet among the samples: the test proves less than it says");
});

test("a region in a cloud gets the size and the certificates that are usual at its place", () => {
  const hetzner = { id: 903, code: "hki", name: "Helsinki", cloud: "hetzner", location: "hel1" };
  const fleet = parse({
    "derpkit:domain": "derp.example.com",
    "derpkit:delivery": { url: "https://downloads.example.com/derpkit" },
    "derpkit:trustedKeys": [`MCowBQYDK2VwAyEA${"A".repeat(43)}=`],
    "derpkit:regions": [
      { ...hetzner, admission: { anyone: true } },
      {
        ...hetzner,
        id: 904,
        code: "ash",
        location: "ash",
        certificates: "acme-ip",
        admission: { anyone: true },
      },
    ],
  });
  assert.deepEqual(
    fleet.regions.map(({ size, certificates, nodes }) => [size, certificates, nodes[0]?.hostName]),
    [
      ["cax11", "acme", "903a.derp.example.com"],
      ["cpx22", "acme-ip", undefined],
    ],
  );
});

test("secrets and addresses that hold one are refused wherever they are written", () => {
  const urls = [
    "http://a.example",
    "https://user:hunter2@a.example",
    "https://a.example/#x",
    "https://",
    "https://a b",
  ];
  for (const url of urls) {
    assert.match(
      problemsOf({ "derpkit:regions": [alfa], "derpkit:delivery": { url } }).join(),
      /delivery\.url: is "/,
    );
  }
  assert.match(
    problemsOf({ "derpkit:regions": [alfa], "derpkit:dns": { zone: { secure: "v1:x" } } }).join(),
    /dns\.zone: is or holds a secret/,
  );
});
