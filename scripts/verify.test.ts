import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { KitError } from "../relay/errors.ts";
import { type RunningRelay, startTestRelay } from "../relay/testing/running-relay.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { parseCommandLine } from "./cli/command.ts";
import { noStandIn, projectFolder } from "./testing/project-folder.ts";
import { command } from "./verify.ts";
import { nodeOf } from "./verify/testing/derp-node.ts";

async function writeMap(t: TestContext, relay: RunningRelay): Promise<string> {
  const region = { RegionID: 901, RegionCode: "alfa", RegionName: "Alfa", Nodes: [nodeOf(relay)] };
  const file = join(temporaryFolder(t), "map.json");
  await writeFile(file, JSON.stringify({ derpMap: { Regions: { 901: region } } }));
  return file;
}

/** Runs the command as the dispatcher does. */
async function verify(
  t: TestContext,
  ...args: readonly string[]
): Promise<{ status: number; lines: string[]; notes: string[]; documents: unknown[] }> {
  const [lines, notes, documents]: [string[], string[], unknown[]] = [[], [], []];
  const step = { update: () => {}, done: () => {}, fail: () => {} };
  const out = {
    json: args.includes("--json"),
    line: (text = "") => void lines.push(text),
    document: (value: unknown) => void documents.push(value),
    note: (text: string) => void notes.push(text),
    step: () => step,
  };
  const status = await command.run({ ...parseCommandLine(command, args), out, signal: t.signal });
  return { status, lines, notes, documents };
}

test("a map whose relays are right exits 0, with a table and a document", async (t) => {
  const { status, lines, documents } = await verify(
    t,
    "--derpmap",
    await writeMap(t, await startTestRelay(t)),
  );
  assert.equal(status, 0);
  assert.match(lines.join("\n"), /alfa +901a +transport-secrecy +passed/);
  const [document] = documents;
  assert.partialDeepStrictEqual(document, { ok: true, nodes: [{ name: "901a", region: "alfa" }] });
});

test("a failed check exits 1", async (t) => {
  const relay = { ...(await startTestRelay(t)), pin: `sha256-raw:${"0".repeat(64)}` };
  const { status, documents } = await verify(t, "--derpmap", await writeMap(t, relay));
  assert.equal(status, 1);
  assert.partialDeepStrictEqual(documents[0], { ok: false });
});

test("a required family that cannot be tested exits 1 and is named", async (t) => {
  const file = await writeMap(t, await startTestRelay(t));
  const { status, notes } = await verify(t, "--derpmap", file, "--require", "ipv6");
  assert.equal(status, 1);
  assert.deepEqual(notes, ["901a could not be tested over ipv6, which is required"]);
});

test("what cannot be run ends with exit status 2 and says why", async (t) => {
  const file = await writeMap(t, await startTestRelay(t));
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], "usage"],
    [["--derpmap", file, "--stack", "local"], "usage"],
    [["--derpmap", `${file}.away`], "file-unreadable"],
    [["--derpmap", join(import.meta.dirname, "verify.ts")], "derpmap-invalid"],
    [["--derpmap", file, "--node", "909z"], "usage"],
    [["--derpmap", file, "--region", "zulu"], "usage"],
    [["--derpmap", file, "--require", "ipv5"], "usage"],
    [["--derpmap", file, "--timeout", "0"], "usage"],
    [["--derpmap", file, "--timeout", "soon"], "usage"],
    [["--derpmap", file, "--expect-bundle", "abc"], "usage"],
    [["--derpmap", file, "--connect-to", "a:1"], "usage"],
    [["--derpmap", file, "--control-stun", "a"], "usage"],
    [["--derpmap", file, "--ca", file], "usage"],
    [["--derpmap", file, "--ca", `${file}.away`], "file-unreadable"],
  ];
  for (const [args, code] of cases) {
    await assert.rejects(verify(t, ...args), (error) => {
      assert.ok(error instanceof KitError, args.join(" "));
      assert.deepEqual([error.code, error.exit], [code, 2], args.join(" "));
      return true;
    });
  }
});

const stackFile = `config:
  derpkit:delivery: { url: https://downloads.example.com }
  derpkit:trustedKeys: [MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=]
  derpkit:domain: derp.example.com
  derpkit:regions:
    - { id: 901, code: alfa, name: Alfa, cloud: hetzner, location: fsn1, admission: { anyone: true } }
`;

describe("a stack", { skip: noStandIn }, () => {
  const folder = projectFolder();

  /** A stack whose last `up` gave this relay as its only node. */
  async function startStack(t: TestContext): Promise<void> {
    const project = folder.lay({ prod: stackFile });
    const node = nodeOf(await startTestRelay(t));
    const region = { RegionID: 901, RegionCode: "alfa", RegionName: "Alfa", Nodes: [node] };
    const place = {
      name: node.Name,
      regionId: 901,
      regionCode: "alfa",
      state: "serving",
      hostName: node.HostName,
    };
    const { CertName: certName, IPv4: ipv4, DERPPort: derpPort, STUNPort: stunPort } = node;
    const nodes = [{ ...place, certName, ipv4, ipv6: "none", derpPort, stunPort }];
    const outputs = { derpMap: { Regions: { 901: region } }, nodes, unverified: [], releases: {} };
    await writeFile(join(project, "outputs.json"), JSON.stringify(outputs));
    folder.standIn(t, "cat outputs.json");
  }

  test("has the nodes that its last up gave", async (t) => {
    await startStack(t);
    const { status, documents } = await verify(t, "--stack", "prod");
    assert.equal(status, 0);
    assert.partialDeepStrictEqual(documents[0], { ok: true, nodes: [{ name: "901a", region: "alfa" }] });
  });

  test("with --released a node that runs something else fails", async (t) => {
    await startStack(t);
    const { status, documents } = await verify(t, "--stack", "prod", "--released");
    assert.equal(status, 1);
    const [{ nodes }] = documents as [
      { nodes: { checks: { name: string; status: string; detail: string }[] }[] },
    ];
    const failed = nodes[0]?.checks.filter((check) => check.status === "failed") ?? [];
    assert.deepEqual(
      failed.map(({ name }) => name),
      ["healthz"],
    );
    assert.match(failed[0]?.detail ?? "", /^the bundle is none, and [0-9a-f]{64} is expected$/);
  });

  test("is what --released is for", async (t) => {
    await assert.rejects(verify(t, "--derpmap", await writeMap(t, await startTestRelay(t)), "--released"), {
      code: "usage",
    });
  });
});
