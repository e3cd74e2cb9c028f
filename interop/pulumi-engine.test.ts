/**
 * The Pulumi program under the real engine: bare `pulumi` on a copy of the project, with a state of its own.
 *
 * Needs `pulumi` in PATH; its language host for Node.js runs the `node` that is first there.
 */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";

const root = path.join(import.meta.dirname, "..");
const folder = path.join(tmpdir(), `derpkit-engine-${process.pid}`);
const project = path.join(folder, "project");
const launcher = path.join(project, "scripts", "run.mjs");

/** No account, no network, nothing outside the temporary folder. */
const hermetic = {
  ...process.env,
  PATH: [path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter),
  PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
  PULUMI_CONFIG_PASSPHRASE: "test",
  PULUMI_HOME: path.join(folder, "home"),
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
};

const missing = spawnSync("pulumi", ["version"]).error !== undefined;
const older = findOlderNode();

describe("under Pulumi's engine", { skip: missing && "there is no pulumi in PATH" }, () => {
  before(() => {
    mkdirSync(path.join(folder, "state"), { recursive: true });
    for (const part of ["package.json", "Pulumi.yaml", "Pulumi.local.yaml", "infra", "relay", "scripts"]) {
      cpSync(path.join(root, part), path.join(project, part), { recursive: true });
    }
    symlinkSync(path.join(root, "node_modules"), path.join(project, "node_modules"));
    pulumi("stack", "init", "local");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("up leaves one RelayNode per configured node in the state, and says how to start them", () => {
    assert.match(pulumi("up", "--yes", "--skip-preview"), /npm start -- --stack local/);
    const nodes = resources().filter(({ type }) => type === "derpkit:index:RelayNode");
    assert.deepEqual(
      nodes.map(({ urn }) => urn.split("::").at(-1)),
      ["derp-901-901a", "derp-902-902a"],
    );
  });

  test("a second preview is empty, and so is a second up", () => {
    const first = resources();
    const preview = pulumi("preview", "--diff", "--expect-no-changes");
    assert.match(preview, /6 unchanged/);
    // --expect-no-changes takes no notice of outputs.
    assert.doesNotMatch(preview, /outputs:/);
    pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
    assert.deepEqual(resources(), first);
  });

  test("the derpMap is the very text that a run without the engine gives, twice", () => {
    for (const _ of ["once", "twice"]) assert.equal(derpMapOfEngine(), derpMapOfPlan());
  });

  test("so is one with names that JSON, HTML or a terminal might spell differently", () => {
    const file = path.join(project, "Pulumi.local.yaml");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("Alfa on this machine", `'R&D <lab>, "\\東京", é 🚀'`));
    pulumi("up", "--yes", "--skip-preview");
    assert.match(derpMapOfEngine(), /R&D <lab>.*東京.*🚀/);
    assert.equal(derpMapOfEngine(), derpMapOfPlan());
    writeFileSync(file, text);
  });

  test("mistakes in the configuration are listed with their paths, and without a stack", () => {
    pulumi("stack", "init", "bad");
    writeFileSync(
      path.join(project, "Pulumi.bad.yaml"),
      `config:
  derpkit:domian: derp.example.com
  derpkit:regions:
    - {id: 5, code: fra, name: Alfa, cloud: nowhere}
    - {id: 902, code: bravo, name: Bravo, cloud: local, nods: []}
`,
    );
    const { status, stdout } = run("pulumi", ["preview", "--stack", "bad", "--non-interactive"]);
    assert.notEqual(status, 0);
    for (const problem of [
      /derpkit:domian: is not a known key; did you mean domain\?/,
      /derpkit:regions\[0\]\.id: is 5/,
      /derpkit:regions\[0\]\.code: is "fra"/,
      /derpkit:regions\[0\]\.cloud: is "nowhere"/,
      /derpkit:regions\[1\]\.nods: is not a known key; did you mean nodes\?/,
    ]) {
      assert.match(stdout, problem);
    }
    assert.doesNotMatch(stdout, /^\s+at |unhandled/m);
  });

  test("a secret inside a region is refused, and reaches neither the screen nor the state", () => {
    pulumi("stack", "init", "secret");
    const name = "derpkit:regions[0].name";
    pulumi("config", "set", "--stack", "secret", "--secret", "--path", name, "hunter2");
    const up = run("pulumi", ["up", "--yes", "--skip-preview", "--stack", "secret", "--non-interactive"]);
    assert.notEqual(up.status, 0);
    assert.match(up.stdout, /derpkit:regions: is or holds a secret/);
    const state = pulumi("stack", "export", "--stack", "secret", "--show-secrets");
    assert.doesNotMatch(up.stdout + up.stderr + state, /hunter2/);
  });

  test(
    "an older Node.js first in PATH gets the sentence that says what to do, and that way works",
    { skip: older === undefined && "there is no Node.js older than 24 in PATH" },
    () => {
      const environment = { PATH: [older, hermetic.PATH].join(path.delimiter) };
      const args = ["preview", "--stack", "local", "--non-interactive"];
      const bare = run("pulumi", args, environment);
      assert.notEqual(bare.status, 0);
      assert.match(
        bare.stdout,
        /error: derpkit needs Node\.js 24 and this is \S+ Run `npm run pulumi -- up`/,
      );
      assert.doesNotMatch(bare.stdout, /ERR_UNKNOWN_FILE_EXTENSION|^\s+at /m);
      const wrapped = run(process.execPath, [launcher, "pulumi", ...args], environment);
      assert.equal(wrapped.status, 0, wrapped.stdout + wrapped.stderr);
    },
  );

  test("destroy leaves nothing in the state", () => {
    pulumi("destroy", "--yes", "--skip-preview", "--stack", "local");
    assert.deepEqual(resources(), []);
  });
});

function run(
  program: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
): SpawnSyncReturns<string> {
  return spawnSync(program, args, { cwd: project, env: { ...hermetic, ...more }, encoding: "utf8" });
}

/** Runs the CLI, which has to succeed. @returns its standard output */
function pulumi(...args: readonly string[]): string {
  const { status, stdout, stderr } = run("pulumi", [...args, "--non-interactive"]);
  assert.equal(status, 0, `pulumi ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** The resources in the local stack's state, by name: the engine has them in the order in which they came. */
function resources(): { type: string; urn: string }[] {
  const { deployment }: { deployment: { resources?: { type: string; urn: string }[] } } = JSON.parse(
    pulumi("stack", "export", "--stack", "local"),
  );
  return (deployment.resources ?? []).sort((a, b) => (a.urn < b.urn ? -1 : 1));
}

function derpMapOfEngine(): string {
  return pulumi("stack", "output", "derpMap", "--json", "--stack", "local");
}

/** As the engine prints JSON: two spaces, a newline at the end. */
function derpMapOfPlan(): string {
  const { stdout } = run(process.execPath, [launcher, "plan", "--json"]);
  const { outputs }: { outputs: { derpMap: unknown } } = JSON.parse(stdout);
  return `${JSON.stringify(outputs.derpMap, null, 2)}\n`;
}

/** The folder of a Node.js that cannot run TypeScript, from PATH. */
function findOlderNode(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((entry) => entry !== "");
  return folders.find((entry) => {
    const { stdout } = spawnSync(path.join(entry, "node"), ["--version"], { encoding: "utf8" });
    return Number(/^v(\d+)\./.exec(stdout ?? "")?.[1] ?? 24) < 24;
  });
}
