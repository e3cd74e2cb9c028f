import assert from "node:assert/strict";
import { test } from "node:test";
import { findContradictions } from "./contradictions.ts";

const publicKey = `MCowBQYDK2VwAyEA${"A".repeat(43)}=`;
const cloud = {
  id: 901,
  code: "alfa",
  name: "Alfa",
  cloud: "hetzner",
  location: "fsn1",
  admission: { anyone: true },
};
const bucket = { bucket: "example-derp-releases", location: "eu-central-1" };
const fleet = {
  domain: "derp.example.com",
  delivery: { url: "https://downloads.example.com" },
  trustedKeys: [publicKey],
  regions: [cloud],
};

function problemsOf(raw: object): string[] {
  return findContradictions(raw).map(({ path, message }) => `${path}: ${message}`);
}

/** The problems of a fleet whose only region differs so. */
const withRegion = (region: object, more: object = {}): string[] =>
  problemsOf({ ...fleet, ...more, regions: [{ ...cloud, ...region }] });

test("a region in a cloud with all that it needs is right, and so is a local one with nothing", () => {
  assert.deepEqual(problemsOf(fleet), []);
  assert.deepEqual(problemsOf({ regions: [{ id: 901, code: "alfa", name: "Alfa", cloud: "local" }] }), []);
});

const wrong: Readonly<Record<string, readonly [problems: string[], says: RegExp]>> = {
  "nothing that machines need": [
    problemsOf({ domain: fleet.domain, regions: [cloud] }),
    /^derpkit:delivery: is missing.*\nderpkit:trustedKeys: is missing/,
  ],
  "no place": [withRegion({ location: undefined }), /regions\[0\]\.location: is missing; write one of fsn1,/],
  "a place that is nearly one": [
    withRegion({ location: "fsn" }),
    /location: is "fsn", and hetzner has no such place; did you mean fsn1\?/,
  ],
  "a place of the language's own": [
    withRegion({ location: "constructor" }),
    /hetzner has no such place; write one of/,
  ],
  "nobody who may connect": [
    withRegion({ admission: undefined }),
    /admission: is missing; write who may connect/,
  ],
  "an admission that lets in nobody": [withRegion({ admission: {} }), /admission: lets in nobody/],
  "one that asks for nothing": [
    withRegion({ admission: { anyone: true, verifyClientUrl: "https://headscale.example.com/verify" } }),
    /admission: lets in anyone and asks about each; keep one/,
  ],
  "a secret and no way for it to a machine": [
    withRegion({ admission: { tailnetApi: { clientId: "k", secret: "reader" } } }),
    /tailnetApi\.secret: names a secret, and none can reach a machine at hetzner where others publish its releases; write verifyClientUrl or allow, which need none, or have the stack deliver: delivery\.s3$/,
  ],
  "a token and no way for it to a machine": [
    withRegion({ statusToken: "token" }),
    /regions\[0\]\.statusToken: names a secret, and none can reach .*; write no statusToken: \/healthz is for everybody, or/,
  ],
  "a mesh key for one node": [
    withRegion({ cloud: "aws", location: "eu-central-1", mesh: "keys" }),
    /^derpkit:regions\[0\]\.mesh: has no effect on one node; remove it, or write more nodes$/,
  ],
  "a mesh key for local relays": [
    problemsOf({
      regions: [{ id: 901, code: "alfa", name: "Alfa", cloud: "local", mesh: "keys", nodes: [{}, {}] }],
    }),
    /^derpkit:regions\[0\]\.mesh: is of machines in a cloud; remove it/,
  ],
  "an image where a cloud has its own": [
    withRegion({ image: "ami-0123456789abcdef0" }),
    /image: is of AWS; remove it/,
  ],
  "no image where nobody is known to publish one": [
    withRegion({ cloud: "aws", location: "eusc-de-east-1" }),
    /image: is missing; write the id of a Debian 13 image: it is not known who publishes them in aws-eusc/,
  ],
  "two partitions and one set of credentials": [
    problemsOf({
      ...fleet,
      regions: [
        { ...cloud, cloud: "aws", location: "eu-central-1" },
        { ...cloud, id: 902, cloud: "aws", location: "eusc-de-east-1", image: "ami-0123456789abcdef0" },
      ],
    }),
    /^derpkit:awsProfiles: has none for aws and aws-eusc, and the environment has the credentials of one/,
  ],
  "a profile for a partition that no region is in": [
    withRegion({}, { awsProfiles: { "aws-cn": "beijing" } }),
    /^derpkit:awsProfiles\.aws-cn: is of a partition that no region is in; remove it/,
  ],
  "a name that no authority knows": [
    withRegion({}, { domain: "derpkit.internal" }),
    /derpkit:domain: gives "901a\.derpkit\.internal", which no certificate authority knows/,
  ],
  "a port where no authority looks": [
    withRegion({ nodes: [{ derpPort: 8443 }] }),
    /nodes\[0\]\.derpPort: is 8443, where no/,
  ],
  "a name where the address is the name": [
    withRegion({ certificates: "acme-ip", nodes: [{ hostName: "a.example" }] }),
    /nodes\[0\]\.hostName: is a name, and with certificates: acme-ip/,
  ],
  "more nodes than are spread over hosts": [
    withRegion({ nodes: Array.from({ length: 11 }, () => ({})) }),
    /nodes: has 11 nodes, and Hetzner spreads at most 10/,
  ],
  "a peer relay where STUN is": [
    withRegion({ peerRelayPort: 3478 }),
    /peerRelayPort: is 3478, where the relay answers STUN; write another/,
  ],
  "a pin that is not one": [
    withRegion({ nodes: [{ pin: `sha256-raw:${"a".repeat(64)}` }] }),
    /nodes\[0\]\.pin: is of a pinned node, and its region has certificates: acme/,
  ],
  "records in no zone": [
    withRegion({}, { dns: { provider: "cloudflare" } }),
    /derpkit:dns\.zone: is missing/,
  ],
  "a zone and nobody who makes records": [
    withRegion({}, { dns: { zone: "example.com" } }),
    /derpkit:dns\.provider: is none/,
  ],
  "a name outside the zone": [
    withRegion(
      { nodes: [{ hostName: "derp.example.org" }] },
      { dns: { provider: "cloudflare", zone: "example.com" } },
    ),
    /hostName: gives "derp\.example\.org", which is not in the zone example\.com/,
  ],
  "a delivery that says no way": [
    withRegion({}, { delivery: {} }),
    /^derpkit:delivery: says no way; write s3 or url/,
  ],
  "a delivery that says two": [
    withRegion({}, { delivery: { url: "https://downloads.example.com", s3: bucket } }),
    /^derpkit:delivery: says two ways; keep s3 or url/,
  ],
  "a bucket where AWS is not": [
    withRegion({}, { delivery: { s3: { ...bucket, location: "eu-centrl-1" } } }),
    /^derpkit:delivery\.s3\.location: is "eu-centrl-1", and AWS has no such region; did you mean eu-central-1\?/,
  ],
  "a store without a key": [
    withRegion({}, { delivery: { s3: { ...bucket, endpoint: "https://fsn1.your-objectstorage.com" } } }),
    /^derpkit:delivery\.s3\.accessKeyId: is missing.*\nderpkit:delivery\.s3\.secret: is missing/,
  ],
  "a key where the provider's credentials count": [
    withRegion({}, { delivery: { s3: { ...bucket, accessKeyId: "id" } } }),
    /^derpkit:delivery\.s3\.accessKeyId: is of a store with an endpoint; remove it/,
  ],
  "a local region with a machine's size": [
    problemsOf({
      regions: [{ id: 901, code: "alfa", name: "Alfa", cloud: "local", size: "cax11", wave: 2 }],
    }),
    /^derpkit:regions\[0\]\.size: is of machines in a cloud.*\nderpkit:regions\[0\]\.wave: /,
  ],
};

for (const [what, [problems, says]] of Object.entries(wrong)) {
  test(`a fleet with ${what} is told so, with the path`, () => {
    assert.match(problems.join("\n"), says);
  });
}

test("two partitions are right with a profile for one of them", () => {
  const regions = [
    { ...cloud, cloud: "aws", location: "eu-central-1" },
    { ...cloud, id: 902, cloud: "aws", location: "eusc-de-east-1", image: "ami-0123456789abcdef0" },
  ];
  const problems = problemsOf({ ...fleet, regions, awsProfiles: { "aws-eusc": "sovereign" } });
  assert.deepEqual(problems, []);
});

test("secrets reach a machine where its cloud has a way for them, or where the stack itself delivers", () => {
  const region = {
    nodes: [{}, {}],
    mesh: "keys",
    statusToken: "token",
    admission: { tailnetApi: { clientId: "k", secret: "reader" } },
  };
  assert.deepEqual(withRegion({ ...region, cloud: "aws", location: "eu-central-1" }), []);
  assert.deepEqual(withRegion(region, { delivery: { s3: { bucket: "derpkit" } } }), []);
});

test("what is right beside it is not complained of", () => {
  for (const problems of [
    withRegion({ http: true, nodes: [{ derpPort: 8443 }] }),
    withRegion({ certificates: "pinned" }, { domain: "derpkit.internal" }),
    withRegion({ certificates: "acme-ip" }, { domain: "derpkit.internal" }),
    withRegion(
      { nodes: [{ hostName: "example.com" }] },
      { dns: { provider: "cloudflare", zone: "example.com" } },
    ),
  ]) {
    assert.deepEqual(problems, []);
  }
});

test("a domain is complained of once, however many nodes are in it", () => {
  const nodes = [{}, {}, {}];
  const aws = { cloud: "aws", location: "eu-central-1", mesh: "keys" };
  assert.equal(withRegion({ ...aws, nodes }, { domain: "derpkit.internal" }).length, 1);
});

test("a name that is malformed is the schema's to complain of, and the domain is not blamed for it", () => {
  for (const node of [{ hostName: "-x" }, { name: "-" }]) {
    assert.deepEqual(withRegion({ nodes: [node] }, { domain: "derpkit.internal" }), []);
  }
});

test("whatever was written, it is looked at without failing", () => {
  for (const raw of [
    undefined,
    null,
    1,
    "x",
    [],
    { regions: "x" },
    { regions: [null, 1, { cloud: "hetzner", nodes: 3 }] },
  ]) {
    assert.ok(Array.isArray(findContradictions(raw)));
  }
});
