import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { access, appendFile, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { chooseFreePort, findPortFault } from "../infra/clouds/free-port.ts";
import { readKept } from "../infra/clouds/local-files.ts";
import { joinRelay, type TestClient } from "../relay/testing/running-relay.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";

const launcher = join(import.meta.dirname, "run.mjs");
const platform = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const skip =
  !existsSync(join(import.meta.dirname, "..", "node_modules", platform)) &&
  "npm has no Node.js for this platform";

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
  const folder = temporaryFolder(t);
  await writeFile(join(folder, "Pulumi.yaml"), "name: derpkit\nruntime: nodejs\n");
  await writeFile(join(folder, "Pulumi.local.yaml"), stack);
  return folder;
}

function start(t: TestContext, folder: string, ...args: readonly string[]): StartedCommand {
  return observe(t, folder, [launcher, "start", ...args]);
}

/** As where npm's own Node.js is too old: run.mjs starts the pinned one. */
function startFromOldNode(t: TestContext, folder: string, ...args: readonly string[]): StartedCommand {
  const old = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.0.0'})";
  return observe(t, folder, ["--import", old, launcher, "start", ...args]);
}

function observe(
  t: TestContext,
  folder: string,
  args: readonly string[],
  program = process.execPath,
): StartedCommand {
  const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
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

test("relays of one region pass packets to each other: a client of one reaches a client of the other", async (t) => {
  const folder = await projectWith(
    t,
    `config: { "derpkit:regions": [{ id: 901, code: alfa, name: Alfa, cloud: local, nodes: [{}, {}] }] }`,
  );
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  const relays = await readKept(folder, "local");
  const join901 = async (node: string): Promise<TestClient> => {
    const relay = relays.get(node);
    assert.ok(relay !== undefined);
    return joinRelay(t, { ...relay, pin: relay.certName });
  };
  const [alice, bob] = [await join901("901a"), await join901("901b")];
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const packet = Buffer.from("over the mesh");
    // Until the relays have found each other nobody is there.
    const sending = setInterval(() => from.send(to.key, packet), 20);
    t.after(() => clearInterval(sending));
    assert.deepEqual(await to.receive(t.signal), { type: "packet", source: from.key, packet });
    clearInterval(sending);
  }
  staying.child.kill("SIGINT");
  const ended = await staying.result;
  const key = (await readFile(join(folder, ".derpkit/local/local/mesh-901.key"), "utf8")).trim();
  assert.ok(![ended.stdout, ended.stderr].some((text) => text.includes(key)));
});

test("without --once it stays, and SIGINT stops every relay and exits with 0", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  staying.child.kill("SIGINT");
  const { status, stdout } = await staying.result;
  assert.equal(status, 0);
  const proof = JSON.parse(stdout) as Proof;
  for (const port of portsOf(proof)) await assertFree(port);
});

test("Ctrl-C during the checks is no failed check, and standard output is one JSON document all the same", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const checking = start(t, folder, "--json");
  await checking.said("relays: all healthy");
  checking.child.kill("SIGINT");
  const { status, stdout, stderr } = await checking.result;
  assert.equal(status, 2);
  assert.match(stderr, /^start was stopped before it was done$/m);
  assert.doesNotMatch(stderr, /FAILED|check failed/);
  assert.deepEqual(JSON.parse(stdout), { ok: false, stopped: "SIGINT" });
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  test(`under an old Node.js, ${signal} to the launcher alone stops every relay`, { skip }, async (t) => {
    const folder = await projectWith(t, twoRegions);
    const staying = startFromOldNode(t, folder, "--json");
    await staying.said("2 relays running");
    staying.child.kill(signal);
    // It is complete when the last process that could write to standard error has ended.
    const { status, stdout, stderr } = await staying.result;
    assert.equal(status, signal === "SIGKILL" ? null : 0);
    assert.match(stderr, /\nstopping\n(.*SIGTERM: stopping\n){2}$/);
    const proof = JSON.parse(stdout) as Proof;
    for (const port of portsOf(proof)) await assertFree(port);
  });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // A shell between npm and the command would keep SIGINT to itself and die of SIGTERM alone.
  test(`${signal} to npm alone stops every relay`, { skip: process.platform === "win32" }, async (t) => {
    const folder = await projectWith(t, twoRegions);
    const manifest = JSON.parse(await readFile(join(import.meta.dirname, "..", "package.json"), "utf8")) as {
      readonly scripts: { readonly start: string };
    };
    const script = manifest.scripts.start.replace("scripts/run.mjs", launcher);
    await writeFile(join(folder, "package.json"), JSON.stringify({ scripts: { start: script } }));
    const staying = observe(t, folder, ["--silent", "start", "--", "--json"], "npm");
    await staying.said("2 relays running");
    staying.child.kill(signal);
    const { status, stdout, stderr } = await staying.result;
    assert.equal(status, 0, stderr);
    for (const port of portsOf(JSON.parse(stdout) as Proof)) await assertFree(port);
  });
}

test("a second Ctrl-C ends a start whose relay hangs, and the relay with it", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  const [hanging] = (await childrenOf(staying.child.pid ?? 0)) ?? [];
  if (hanging === undefined) return t.skip("no /proc to find the relays' processes in");
  process.kill(hanging, "SIGSTOP");
  // Those that come right after the first are taken for the same one.
  const pressing = setInterval(() => staying.child.kill("SIGINT"), 100);
  t.after(() => clearInterval(pressing));
  const { status, stdout } = await staying.result;
  assert.equal(status, 128 + 2);
  // It was killed, and lets go of its port as soon as the system gets to it.
  const ports = portsOf(JSON.parse(stdout) as Proof);
  while ((await Promise.all(ports.map((port) => findPortFault("tcp", "127.0.0.1", port)))).some(Boolean));
});

test("a delivery that is tampered with is refused, and the relay that runs goes on", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const staying = start(t, folder, "--json");
  await staying.said("2 relays running");
  await appendFile(join(folder, ".derpkit/local/local/delivery/alfa/relay.mjs"), "// tampered\n");
  await staying.said("901a  refused: relay.mjs: ");
  staying.child.kill("SIGINT");
  const { status, stderr } = await staying.result;
  assert.equal(status, 0);
  assert.equal(stderr.match(/\[bundle-tampered\]/g)?.length, 1);
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

test("that nobody reads what it says keeps it from nothing", async (t) => {
  const folder = await projectWith(t, twoRegions);
  const unheard = start(t, folder, "--once", "--json");
  unheard.child.stderr?.destroy();
  const { status, stdout } = await unheard.result;
  assert.equal(status, 0);
  assert.equal((JSON.parse(stdout) as Proof).ok, true);
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

/** The relays' TCP ports, of regions with one node. */
function portsOf({ derpMap }: Proof): number[] {
  return Object.values(derpMap.Regions).map(({ Nodes }) => Number(Nodes[0]?.["DERPPort"]));
}

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
