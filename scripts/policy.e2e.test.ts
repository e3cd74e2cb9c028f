/** The command as a person or a pipeline runs it: a process of its own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { KitError, renderError } from "../relay/errors.ts";
import { forever, reply } from "../relay/outbound/testing/servers.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { parseCommandLine } from "./cli/command.ts";
import { createOutput } from "./cli/output.ts";
import { command } from "./policy.ts";
import { parseByOracle } from "./policy/testing/oracle.ts";
import { apiKey, nameOf, startPolicyService } from "./policy/testing/policy-service.ts";

const policy = '{\n\t// Ours.\n\t"acls": [],\n}\n';

interface Project {
  readonly folder: string;
  readonly env: Record<string, string>;
  readonly write: (name: string, content: unknown) => void;
  readonly read: (name: string) => string;
}

function startProject(t: TestContext, files: Readonly<Record<string, unknown>>): Project {
  const folder = temporaryFolder(t);
  const write: Project["write"] = (name, content) =>
    writeFileSync(path.join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  for (const [name, content] of Object.entries({ "Pulumi.yaml": "name: derpkit\n", ...files }))
    write(name, content);
  return { folder, env: {}, write, read: (name) => readFileSync(path.join(folder, name), "utf8") };
}

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run({ folder, env }: Project, ...args: readonly string[]): Promise<Ended> {
  const launcher = path.join(import.meta.dirname, "run.mjs");
  const { PATH = "", SystemRoot = "" } = process.env;
  const child = spawn(process.execPath, [launcher, "policy", ...args], {
    cwd: folder,
    env: { PATH, SystemRoot, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [[status], stdout, stderr] = await Promise.all([
    once(child, "close") as Promise<[number]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  assert.doesNotMatch(stdout + stderr, /CANARY/);
  return { status, stdout, stderr };
}

const stackOfTwo = `config:
  derpkit:domain: derp.example.com
  derpkit:delivery: { url: https://downloads.example.com }
  derpkit:trustedKeys: [MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=]
  derpkit:regions:
    - { id: 901, code: alfa, name: Alfa, cloud: hetzner, location: fsn1, admission: { anyone: true } }
    - { id: 902, code: bravo, name: Bravo, cloud: hetzner, location: nbg1, admission: { anyone: true } }
`;

/** A node as the stack's outputs have it. */
function nodeOf(regionId: number, regionCode: string): object {
  const addresses = {
    hostName: `${regionId}a.derp.example.com`,
    certName: "",
    ipv4: "8.8.8.8",
    ipv6: "none",
  };
  return {
    name: `${regionId}a`,
    regionId,
    regionCode,
    state: "serving",
    ...addresses,
    derpPort: 443,
    stunPort: 3478,
  };
}

const idsIn = (written: string): string[] => Object.keys(Object(parseByOracle(written)).derpMap.Regions);

function map(...codes: readonly string[]): { Regions: Record<string, unknown> } {
  const regions = codes.map((code, index) => {
    const id = 901 + index;
    const nodes = [{ Name: `${id}a`, RegionID: id, HostName: `${id}a.example.com` }];
    return [String(id), { RegionID: id, RegionCode: code, RegionName: code, Nodes: nodes }];
  });
  return { Regions: Object.fromEntries(regions) };
}

test("merge writes a file: exit status 0, and the same bytes twice", async (t) => {
  const project = startProject(t, { "in.hujson": policy, "map.json": { derpMap: map("alfa") } });
  const files = ["merge", "--policy", "in.hujson", "--derpmap", "map.json"];
  assert.equal((await run(project, ...files, "--out", "out.hujson")).status, 0);
  const first = project.read("out.hujson");
  assert.deepEqual(parseByOracle(first), { acls: [], derpMap: map("alfa") });
  project.write("in.hujson", first);
  const again = await run(project, ...files, "--out", "in.hujson", "--json");
  assert.deepEqual([again.status, JSON.parse(again.stdout).changed], [0, false]);
  assert.equal(project.read("in.hujson"), first);
});

test("merge refuses with line and column, as an annotation in GitHub Actions, and writes nothing", async (t) => {
  const project = startProject(t, { "bad.hujson": '{\n  "acls": [}\n', "map.json": map("alfa") });
  const files = ["merge", "--policy", "bad.hujson", "--derpmap", "map.json", "--out", "out.hujson"];
  const { status, stderr } = await run(project, ...files);
  assert.equal(status, 1);
  assert.match(stderr, /^bad\.hujson:2:12: .*\[policy-invalid\]/);
  project.env["GITHUB_ACTIONS"] = "true";
  assert.match((await run(project, ...files)).stderr, /^::error file=bad\.hujson,line=2,col=12::/m);
  const edited = '{"derpMap": {"Regions": {"901": {"RegionCode": "theirs"}}}}';
  project.write("bad.hujson", edited);
  const refused = await run(project, ...files, "--base", "map.json");
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /^::error file=bad\.hujson,line=1,col=26::region 901 alfa was edited by hand/m,
  );
  assert.deepEqual(readdirSync(project.folder).includes("out.hujson"), false);
});

const mapFile = path.join(import.meta.dirname, "..", "no-such-map.json");

for (const args of [
  [],
  ["merge"],
  ["push"],
  ["mend"],
  ["push", "revert"],
  ["push", "--derpmap", mapFile, "--stack", "prod"],
  ["push", "--derpmap", mapFile, "--owned", "alfa"],
  ["push", "--derpmap", mapFile, "--policy", "p", "--api", "http://localhost"],
  ["diff", "--derpmap", mapFile, "--api", "http://api.example.com"],
  ["diff", "--derpmap", mapFile, "--api", "https://u:CANARY@api.example.com"],
  ["diff", "--derpmap", mapFile, "--timeout", "soon"],
  ["revert", "--derpmap", mapFile],
]) {
  const words = args.map((each) => (each === mapFile ? "FILE" : each.replace("CANARY", "…"))).join(" ");
  test(`a mistake in the command line: policy ${words}`, async () => {
    const out = createOutput(false, { write: () => {} }, { write: () => {} });
    const work = command.run({ ...parseCommandLine(command, args), out, signal: forever });
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof KitError && error.code === "usage", String(error));
      assert.doesNotMatch(renderError(error), /CANARY/);
      return true;
    });
  });
}

test("push, diff, check and revert over the API, with what is kept as the base", async (t) => {
  const service = await startPolicyService(t, policy);
  const project = startProject(t, { "map.json": map("alfa") });
  Object.assign(project.env, { TS_API_KEY: apiKey, TAILSCALE_API_URL: service.server.url.href });
  const files = ["--derpmap", "map.json"];
  const missing = await run(project, "diff", ...files);
  assert.deepEqual([missing.status, missing.stdout], [1, "region 901 alfa: added\n"]);
  assert.equal((await run(project, "check", ...files)).status, 0);
  assert.equal(service.text, policy);
  const pushed = await run(project, "push", ...files, "--json");
  assert.equal(pushed.status, 0);
  assert.equal(readFileSync(JSON.parse(pushed.stdout).previous, "utf8"), policy);
  const first = service.text;
  assert.deepEqual((await run(project, "diff", ...files)).status, 0);
  project.write("map.json", map("alfa", "bravo"));
  const annotated = { ...project, env: { ...project.env, GITHUB_ACTIONS: "true" } };
  const shown = await run(annotated, "diff", ...files, "--exit-zero");
  assert.deepEqual([shown.status, shown.stderr], [0, "::warning::region 902 bravo: added\n"]);
  assert.equal((await run(project, "push", ...files)).status, 0);
  assert.equal((await run(project, "revert")).status, 0);
  assert.equal(service.text, first);
  service.text = first.replace("alfa", "mallory");
  const refused = await run(project, "push", ...files);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^ {2}tailnet policy:\d+:\d+: region 901 alfa was edited by hand/m);
});

test("a server that says nothing ends in a time-out of ours", async (t) => {
  const service = await startPolicyService(t, policy);
  service.fault = () => () => {};
  const project = startProject(t, { "map.json": map("alfa") });
  project.env["TS_API_KEY"] = apiKey;
  const args = ["push", "--derpmap", "map.json", "--api", service.server.url.href, "--timeout", "0.2"];
  const { status, stderr } = await run(project, ...args);
  assert.equal(status, 2);
  assert.match(stderr, /no answer within 0\.2 s\. \[tailnet-unreachable\]/);
});

test(
  "a stack gives the map, whose ids are ours, and those that were pushed before",
  { skip: process.platform === "win32" && "the stand-in for Pulumi's CLI is a shell script" },
  async (t) => {
    const service = await startPolicyService(t, policy);
    const project = startProject(t, { "Pulumi.prod.yaml": stackOfTwo });
    const bin = temporaryFolder(t);
    writeFileSync(path.join(bin, "pulumi"), '#!/bin/sh\necho "$@" >said\ncat outputs.json\n');
    chmodSync(path.join(bin, "pulumi"), 0o755);
    const PATH = `${bin}:${process.env["PATH"]}`;
    Object.assign(project.env, { PATH, TS_API_KEY: apiKey, TAILSCALE_API_URL: service.server.url.href });
    const nodes = [nodeOf(901, "alfa"), nodeOf(902, "bravo")];
    const unverified = [
      { id: 902, reason: "its gate is skipped", region: map("alfa", "bravo").Regions["902"] },
    ];
    project.write("outputs.json", { derpMap: map("alfa", "bravo"), nodes, unverified });
    const wary = await run(project, "diff", "--stack", "prod", "--exit-zero");
    assert.equal(wary.stdout, "region 901 alfa: added\n");
    assert.match(wary.stderr, /region 902 \(bravo\) is left out: its gate is skipped/);
    const bold = await run(project, "diff", "--stack", "prod", "--exit-zero", "--allow-unverified");
    assert.match(bold.stdout, /region 902 bravo: added/);
    project.write("outputs.json", { derpMap: map("alfa", "bravo"), nodes, unverified: [] });
    assert.equal((await run(project, "push", "--stack", "prod")).status, 0);
    assert.equal(project.read("said"), "stack output --json --stack prod --non-interactive\n");
    project.write("outputs.json", { derpMap: map("alfa"), nodes: nodes.slice(0, 1), unverified: [] });
    const { status, stdout } = await run(project, "push", "--stack", "prod");
    assert.equal(status, 0);
    assert.match(stdout, /^region 902 bravo: removed$/m);
    assert.deepEqual(idsIn(service.text), ["901"]);
    const all = [{ id: 901, reason: "the stack has no gate", region: map("alfa").Regions["901"] }];
    project.write("outputs.json", { derpMap: map("alfa"), nodes, unverified: all });
    assert.match((await run(project, "push", "--stack", "prod")).stderr, /\[derpmap-unfit\]/);
    assert.deepEqual(idsIn(service.text), ["901"]);
    project.write("outputs.json", {});
    assert.match((await run(project, "push", "--stack", "prod")).stderr, /\[not-up-yet\]/);
  },
);

test("a preview shows the map that an up would give, and what only the cloud knows as that", async (t) => {
  const project = startProject(t, { "Pulumi.prod.yaml": stackOfTwo, "policy.hujson": policy });
  const args = ["--stack", "prod", "--policy", "policy.hujson"];
  const addresses = { IPv4: "(known after up)", IPv6: "none" };
  const Regions = structuredClone(map("alfa", "bravo").Regions);
  for (const region of Object.values(Regions)) Object.assign(Object(region).Nodes[0], addresses);
  const nodes = [nodeOf(901, "alfa"), nodeOf(902, "bravo")];
  project.write("preview.json", { ok: true, outputs: { derpMap: { Regions }, nodes, unverified: [] } });
  const preview = ["--preview", "preview.json"];
  const shown = await run(project, "diff", ...args, ...preview, "--exit-zero", "--json");
  assert.equal(shown.status, 0, shown.stderr);
  assert.deepEqual(JSON.parse(shown.stdout).changes, [
    { what: "region 901 alfa", words: "added" },
    { what: "region 901 alfa", words: "node 901a at 901a.example.com, IPv4 (known after up), IPv6 none" },
    { what: "region 902 bravo", words: "added" },
    { what: "region 902 bravo", words: "node 902a at 902a.example.com, IPv4 (known after up), IPv6 none" },
  ]);
  const known = structuredClone(map("alfa").Regions);
  Object.assign(Object(known["901"]).Nodes[0], { IPv4: "8.8.8.8", IPv6: "none" });
  project.write("policy.hujson", { derpMap: { Regions: known } });
  const moved = await run(project, "diff", ...args, ...preview);
  assert.equal(moved.status, 1);
  assert.match(moved.stdout, /^region 901 alfa: node 901a IPv4 "8\.8\.8\.8" -> "\(known after up\)"$/m);
  assert.match((await run(project, "push", ...args, ...preview)).stderr, /\[usage\]/);
  project.write("preview.json", { ok: false, error: { code: "pulumi-failed" } });
  assert.match(
    (await run(project, "diff", ...args, ...preview)).stderr,
    /preview\.json: .*\[derpmap-invalid\]/,
  );
});

test("a region that was pushed and has left the stack is ours as well, if --base says so", async (t) => {
  const project = startProject(t, {
    "Pulumi.prod.yaml": stackOfTwo,
    "policy.hujson": { derpMap: map("alfa", "bravo") },
  });
  project.write("base.json", map("alfa", "bravo"));
  project.write("preview.json", {
    outputs: { derpMap: map("alfa"), nodes: [nodeOf(901, "alfa")], unverified: [] },
  });
  const args = ["--stack", "prod", "--policy", "policy.hujson", "--preview", "preview.json"];
  const { stdout } = await run(project, "diff", ...args, "--base", "base.json");
  assert.match(stdout, /^region 902 bravo: removed$/m);
});

test("a policy file in a repository is patched in its place", async (t) => {
  const project = startProject(t, { "policy.hujson": policy, "map.json": map("alfa") });
  const args = ["--policy", "policy.hujson", "--derpmap", "map.json"];
  const annotated = { ...project, env: { GITHUB_ACTIONS: "true" } };
  const shown = await run(annotated, "diff", ...args);
  assert.deepEqual(
    [shown.status, shown.stderr],
    [1, "::warning file=policy.hujson::region 901 alfa: added\n"],
  );
  assert.equal((await run(project, "push", ...args)).status, 0);
  assert.deepEqual(parseByOracle(project.read("policy.hujson")), { acls: [], derpMap: map("alfa") });
  assert.equal((await run(project, "check", ...args)).status, 0);
  assert.equal((await run(project, "revert", "--policy", "policy.hujson")).status, 0);
  assert.equal(project.read("policy.hujson"), policy);
});

test("a service that refuses a policy is quoted, and credentials that are missing are named", async (t) => {
  const service = await startPolicyService(t, policy);
  service.fault = (request) =>
    nameOf(request) === "POST acl/validate" ? reply(422, `{"message": "no ${apiKey}"}`) : undefined;
  const project = startProject(t, { "map.json": map("alfa") });
  const args = ["check", "--derpmap", "map.json", "--api", service.server.url.href];
  const without = await run(project, ...args);
  assert.deepEqual([without.status, service.asked()], [2, []]);
  assert.match(without.stderr, /\[tailnet-credentials\]/);
  project.env["TS_API_KEY"] = apiKey;
  const refused = await run(project, ...args);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /tailnet policy: no \[secret\] \[policy-refused\]/);
});
