import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { chooseFreePort } from "../infra/clouds/free-port.ts";

const launcher = join(import.meta.dirname, "run.mjs");

interface StartedCommand {
  readonly child: ChildProcess;
  /** Exit status, standard output and standard error, when all has ended. */
  readonly result: Promise<{
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
  /** Resolves when standard error holds the text. */
  said(text: string): Promise<void>;
}

/** A project of its own: what is kept lands in it. */
async function projectWith(t: TestContext, stack: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "derpkit-start-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "Pulumi.yaml"), "name: derpkit\nruntime: nodejs\n");
  await writeFile(join(folder, "Pulumi.local.yaml"), stack);
  return folder;
}

function start(t: TestContext, folder: string, ...args: readonly string[]): StartedCommand {
  const child = spawn(process.execPath, [launcher, "start", ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const result = once(child, "close").then(([status]) => ({
    status: status as number | null,
    stdout,
    stderr,
  }));
  const said = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) {
      const more = await Promise.race([
        once(child.stderr, "data").then(() => true),
        result.then(() => false),
      ]);
      if (!more && !stderr.includes(text)) throw new Error(`it ended and had said:\n${stderr}`);
    }
  };
  return { child, result, said };
}

const twoRegions = `
config:
  derpkit:regions:
    - { id: 901, code: alfa, name: Alfa, cloud: local }
    - { id: 902, code: bravo, name: Bravo, cloud: local }
`;

interface Proof {
  readonly ok: boolean;
  readonly derpMap: {
    readonly Regions: Record<string, { readonly Nodes: readonly Record<string, unknown>[] }>;
  };
  readonly nodes: readonly {
    readonly name: string;
    readonly region: string;
    readonly checks: readonly { readonly ok: boolean }[];
  }[];
}

test("a stack of two regions comes up, is proven, and gives the same derpMap each time", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const first = await start(t, folder, "--once", "--json").result;
  assert.equal(first.status, 0, first.stderr);
  const proof = JSON.parse(first.stdout) as Proof;
  assert.equal(proof.ok, true);
  assert.deepEqual(
    proof.nodes.map(({ name, region }) => `${region} ${name}`),
    ["alfa 901a", "bravo 902a"],
  );
  for (const { checks } of proof.nodes) assert.ok(checks.length >= 10 && checks.every(({ ok }) => ok));
  for (const { Nodes } of Object.values(proof.derpMap.Regions)) {
    for (const name of ["Name", "RegionID", "HostName", "CertName", "IPv4", "STUNPort", "DERPPort"]) {
      assert.ok(Nodes[0] !== undefined && name in Nodes[0], name);
    }
  }
  const second = await start(t, folder, "--once", "--json").result;
  const again = JSON.parse(second.stdout) as Proof;
  assert.equal(JSON.stringify(again.derpMap), JSON.stringify(proof.derpMap));
});

test("without --once it stays, and SIGINT stops every relay and exits with 0", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  staying.child.kill("SIGINT");
  const { status, stdout } = await staying.result;
  assert.equal(status, 0);
  const proof = JSON.parse(stdout) as Proof;
  for (const { Nodes } of Object.values(proof.derpMap.Regions))
    await assertFree(Number(Nodes[0]?.["DERPPort"]));
});

test("a relay that dies is named, the rest are stopped, and the exit status is 1", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  const { pid } = staying.child;
  const children = await childrenOf(pid ?? 0);
  if (children === undefined) return t.skip("no /proc to find the relays' processes in");
  assert.equal(children.length, 2);
  process.kill(children[0] ?? 0, "SIGKILL");
  const { status, stderr } = await staying.result;
  assert.equal(status, 1);
  assert.match(stderr, /node 90[12]a: The relay ended: signal SIGKILL\. \[relay-exited\]/);
  await assert.rejects(access(`/proc/${children[1]}`));
});

test("a config with several mistakes names each with its path, and starts nothing", async (t) => {
  const folder = await projectWith(
    t,
    `
config:
  derpkit:regions:
    - { id: 5, code: fra, name: X, cloud: moon }
    - { id: 901, code: alfa, name: Alfa, cloud: local, nodes: [{ hostName: "not a name", derpPort: "443" }] }
    - { id: 901, code: alfa, name: Again, cloud: local, nodes: [{ name: { secure: v1:abc } }] }
`,
  );
  const { status, stdout, stderr } = await start(t, folder, "--once").result;
  assert.equal(status, 1);
  assert.equal(stdout, "");
  for (const path of [
    "regions[0].id",
    "regions[0].code",
    "regions[0].cloud",
    "regions[1].nodes[0].hostName",
    "regions[1].nodes[0].derpPort",
    "regions[2].id",
    "regions[2].code",
    "regions[2].nodes[0].name",
  ]) {
    assert.ok(stderr.includes(`derpkit:${path}:`), `${path} in:\n${stderr}`);
  }
  await assert.rejects(access(join(folder, ".derpkit")));
});

test("a port that is taken is named with its node, and nothing is started", async (t) => {
  const port = await chooseFreePort("tcp", new Set(), (below) => Math.floor(Math.random() * below));
  const holder = createServer().listen(port, "127.0.0.1");
  await once(holder, "listening");
  t.after(() => holder.close());
  const folder = await projectWith(
    t,
    `config: { "derpkit:regions": [{ id: 901, code: alfa, name: Alfa, cloud: local, nodes: [{ derpPort: ${port} }] }] }`,
  );
  const { status, stdout, stderr } = await start(t, folder, "--once", "--json").result;
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`node 901a: TCP 127\\.0\\.0\\.1:${port} \\(DERP\\) is taken`));
  assert.deepEqual(
    (JSON.parse(stdout) as { ok: boolean; error: { code: string } }).error.code,
    "port-in-use",
  );
});

test("a stack that is not there is a failure to run: exit status 2", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const { status, stderr } = await start(t, folder, "--stack", "nowhere").result;
  assert.equal(status, 2);
  assert.match(stderr, /Pulumi\.nowhere\.yaml/);
});

async function assertFree(port: number): Promise<void> {
  const probe = createServer().listen({ host: "127.0.0.1", port, exclusive: true });
  await once(probe, "listening");
  probe.close();
}

/** Process ids of a process' children; undefined where the system has no /proc. */
async function childrenOf(pid: number): Promise<number[] | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.trim().split(" ").map(Number);
  } catch {
    return undefined;
  }
}
