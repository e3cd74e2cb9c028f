/** The command on stacks of this machine, and on one of a cloud with a script in the place of Pulumi's CLI. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { KitError } from "../relay/errors.ts";
import { command } from "./derpmap.ts";
import { noStandIn as skip, projectFolder } from "./testing/project-folder.ts";
import { failureOf, type Ran, runCommand } from "./testing/run-command.ts";

const project = projectFolder();

function derpmap(t: TestContext, ...args: readonly string[]): Promise<Ran> {
  return runCommand(command, args, t.signal);
}

const renderLocal = (id: number, code: string): string => `config:
  derpkit:regions:
    - { id: ${id}, code: ${code}, name: Region ${id}, cloud: local }
`;

test("two stacks of this machine are one map, which is the same in every form", async (t) => {
  const folder = project.lay({ eu: renderLocal(901, "alfa"), us: renderLocal(902, "bravo") });
  const { status, text } = await derpmap(t, "--stack", "us", "--stack", "eu");
  assert.equal(status, 0);
  assert.deepEqual(Object.keys(JSON.parse(text).Regions), ["901", "902"]);
  const file = path.join(folder, "maps", "headscale.yaml");
  const args = ["--stack", "us", "--stack", "eu", "--format", "headscale", "--out", file, "--json"];
  const { document } = await derpmap(t, ...args);
  assert.deepEqual(document["derpMap"], JSON.parse(text));
  assert.equal(readFileSync(file, "utf8"), `${String(document["text"])}\n`);
});

test("two stacks with the same region are refused, with both named", async (t) => {
  project.lay({ eu: renderLocal(901, "alfa"), us: renderLocal(901, "bravo") });
  const said = await failureOf(derpmap(t, "--stack", "eu", "--stack", "us"));
  assert.match(said, /\[derpmap-collision\]/);
  assert.match(
    said,
    /region 901 \(bravo\) of stack us: has the id 901, and so has region 901 \(alfa\) of stack eu/,
  );
});

const renderCloud = (): string => `config:
  derpkit:domain: derp.example.com
  derpkit:delivery: { url: https://downloads.example.com }
  derpkit:trustedKeys: [MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=]
  derpkit:regions:
    - { id: 903, code: charlie, name: Charlie, cloud: hetzner, location: fsn1, admission: { anyone: true } }
`;

const charlie = {
  RegionID: 903,
  RegionCode: "charlie",
  RegionName: "Charlie",
  Nodes: [{ Name: "903a", RegionID: 903, HostName: "903a.example.com", IPv4: "8.8.3.1", IPv6: "none" }],
};

async function withOutputs(t: TestContext, outputs: object): Promise<void> {
  const folder = project.lay({ eu: renderCloud() });
  await writeFile(path.join(folder, "outputs"), JSON.stringify(outputs));
  project.standIn(t, '[ "$*" = "stack output --json --stack eu --non-interactive" ] || exit 9; cat outputs');
}

test("a stack in a cloud gives what its last up gave", { skip }, async (t) => {
  await withOutputs(t, { derpMap: { Regions: { 5: null, 903: charlie } }, nodes: [], unverified: [] });
  const { text, notes } = await derpmap(t, "--stack", "eu");
  const map = JSON.parse(text);
  assert.deepEqual(Object.keys(map.Regions), ["5", "903"]);
  assert.equal(map.Regions["903"].Nodes[0].DERPPort, 443);
  assert.deepEqual(notes, []);
});

test(
  "a region that no gate was passed by is left out, or is in it and that is said loudly",
  { skip },
  async (t) => {
    const unverified = [{ id: 903, reason: "the stack has no gate", region: charlie }];
    await withOutputs(t, { derpMap: { Regions: { 903: charlie } }, unverified, nodes: [] });
    const said = await failureOf(derpmap(t, "--stack", "eu"));
    assert.match(
      said,
      /Regions: is empty[^]*region 903 \(charlie\) of stack eu: is left out: the stack has no gate/,
    );
    const { text, notes, document } = await derpmap(t, "--stack", "eu", "--allow-unverified", "--json");
    assert.deepEqual(Object.keys(Object(document["derpMap"]).Regions), ["903"]);
    assert.equal(text, "");
    assert.match(notes.join(), /^WARNING: region 903 \(charlie\) of stack eu IS IN THE MAP AND NOT VERIFIED/);
  },
);

test("addresses that nobody reaches are refused, with the stack and the path", { skip }, async (t) => {
  const [node] = charlie.Nodes;
  const hidden = { ...charlie, Nodes: [{ ...node, IPv4: "10.0.0.1" }] };
  await withOutputs(t, { derpMap: { Regions: { 903: hidden } }, nodes: [], unverified: [] });
  assert.match(
    await failureOf(derpmap(t, "--stack", "eu")),
    /derpmap-unfit\]\n {2}stack eu: Regions.903.Nodes\[0\].IPv4: is 10.0.0.1, which the Internet has no way to/,
  );
});

test(
  "outputs that do not say who is unverified are not taken for those of a fleet where nobody is",
  { skip },
  async (t) => {
    await withOutputs(t, { derpMap: { Regions: { 903: charlie } }, nodes: [] });
    assert.match(
      await failureOf(derpmap(t, "--stack", "eu")),
      /outputs are not those of a fleet[^]*pulumi -- up --stack eu/,
    );
  },
);

for (const [what, script] of [
  ["was never up", "echo {}"],
  ["Pulumi does not know", "echo \"error: no stack named 'eu' found\" >&2; exit 6"],
] as const) {
  test(`a stack in a cloud that ${what} has to be brought up first`, { skip }, async (t) => {
    project.lay({ eu: renderCloud() });
    project.standIn(t, script);
    assert.match(
      await failureOf(derpmap(t, "--stack", "eu")),
      /not-up-yet\]\n.*npm run pulumi -- up --stack eu/,
    );
  });
}

test("what Pulumi's CLI fails by is shown", { skip }, async (t) => {
  project.lay({ eu: renderCloud() });
  project.standIn(t, "echo 'error: PULUMI_ACCESS_TOKEN must be set for login' >&2; exit 3");
  assert.match(
    await failureOf(derpmap(t, "--stack", "eu")),
    /pulumi stack output` failed: PULUMI_ACCESS_TOKEN/,
  );
});

test("maps of files are merged too, and their relays may be on this machine if that is said", async (t) => {
  const folder = project.lay({ eu: renderLocal(901, "alfa") });
  const file = path.join(folder, "map.json");
  const [node] = charlie.Nodes;
  const local = { ...charlie, Nodes: [{ ...node, IPv4: "127.0.0.1" }] };
  await writeFile(file, JSON.stringify({ derpMap: { Regions: { 903: local } } }));
  assert.match(await failureOf(derpmap(t, "--stack", "eu", "--map", file)), /file .*map.json: Regions.903/);
  const { text } = await derpmap(t, "--stack", "eu", "--map", file, "--local", "--format", "derpprobe");
  assert.deepEqual(Object.keys(JSON.parse(text).Regions), ["901", "903"]);
});

test("what cannot be run ends with exit status 2 and says why", async (t) => {
  const folder = project.lay({ eu: renderLocal(901, "alfa") });
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], "usage"],
    [["--stack", "eu", "--stack", "eu"], "usage"],
    [["--stack", "eu", "--format", "xml"], "usage"],
    [["--stack", "away"], "stack-not-found"],
    [["--map", path.join(folder, "away.json")], "file-unreadable"],
    [["--map", path.join(folder, "Pulumi.yaml")], "derpmap-invalid"],
    [["--stack", "eu", "--out", path.join(folder, "Pulumi.yaml", "x")], "file-unreadable"],
  ];
  for (const [args, code] of cases) {
    await assert.rejects(derpmap(t, ...args), (error) => {
      assert.ok(error instanceof KitError, `${args.join(" ")}: ${String(error)}`);
      assert.deepEqual([error.code, error.exit], [code, 2], args.join(" "));
      return true;
    });
  }
});
