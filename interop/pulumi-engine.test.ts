/**
 * The Pulumi program under the real engine: bare `pulumi` on a copy of the project, with a state of its own.
 *
 * Needs `pulumi` in PATH; its language host for Node.js runs the `node` that is first there.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { PulumiProject, whyNoEngine } from "./pulumi-project.ts";

const older = findOlderNode();
let stack: PulumiProject;

describe("under Pulumi's engine", { skip: whyNoEngine ?? false }, () => {
  before(() => {
    stack = new PulumiProject();
    pulumi("stack", "init", "local");
  });
  after(() => stack[Symbol.dispose]());

  test("up leaves one RelayNode per configured node in the state, and says how to start them", () => {
    assert.match(pulumi("up", "--yes", "--skip-preview"), /npm start -- --stack local/);
    const nodes = stack.resources("local").filter(({ type }) => type === "derpkit:index:RelayNode");
    assert.deepEqual(
      nodes.map(({ urn }) => urn.split("::").at(-1)),
      ["derp-901-901a", "derp-902-902a"],
    );
  });

  test("a second preview is empty, and so is a second up", () => {
    const first = stack.resources("local");
    const preview = pulumi("preview", "--diff", "--expect-no-changes");
    assert.match(preview, /6 unchanged/);
    // --expect-no-changes takes no notice of outputs.
    assert.doesNotMatch(preview, /outputs:/);
    pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
    assert.deepEqual(stack.resources("local"), first);
  });

  test("the derpMap is the very text that a run without the engine gives, twice", () => {
    for (const _ of ["once", "twice"]) assert.equal(derpMapOfEngine(), derpMapOfPlan());
  });

  test("so is one with names that JSON, HTML or a terminal might spell differently", () => {
    const file = path.join(stack.project, "Pulumi.local.yaml");
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
      path.join(stack.project, "Pulumi.bad.yaml"),
      `config:
  derpkit:domian: derp.example.com
  derpkit:regions:
    - {id: 5, code: fra, name: Alfa, cloud: nowhere}
    - {id: 902, code: bravo, name: Bravo, cloud: local, nods: []}
`,
    );
    const { status, stdout } = stack.run("pulumi", ["preview", "--stack", "bad", "--non-interactive"]);
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
    const up = stack.run("pulumi", [
      "up",
      "--yes",
      "--skip-preview",
      "--stack",
      "secret",
      "--non-interactive",
    ]);
    assert.notEqual(up.status, 0);
    assert.match(up.stdout, /derpkit:regions: is or holds a secret/);
    const state = pulumi("stack", "export", "--stack", "secret", "--show-secrets");
    assert.doesNotMatch(up.stdout + up.stderr + state, /hunter2/);
  });

  test(
    "an older Node.js first in PATH gets the sentence that says what to do, and that way works",
    { skip: older === undefined && "there is no Node.js older than 24 in PATH" },
    () => {
      const environment = { PATH: [older, stack.environment["PATH"]].join(path.delimiter) };
      const args = ["preview", "--stack", "local", "--non-interactive"];
      const bare = stack.run("pulumi", args, environment);
      assert.notEqual(bare.status, 0);
      assert.match(
        bare.stdout,
        /error: derpkit needs Node\.js 24 and this is \S+ Run `npm run pulumi -- up`/,
      );
      assert.doesNotMatch(bare.stdout, /ERR_UNKNOWN_FILE_EXTENSION|^\s+at /m);
      const wrapped = stack.run(process.execPath, [launcher(), "pulumi", ...args], environment);
      assert.equal(wrapped.status, 0, wrapped.stdout + wrapped.stderr);
    },
  );

  test("destroy leaves nothing in the state", () => {
    pulumi("destroy", "--yes", "--skip-preview", "--stack", "local");
    assert.deepEqual(stack.resources("local"), []);
  });
});

/** Runs the CLI, which has to succeed. @returns its standard output */
function pulumi(...args: readonly string[]): string {
  return stack.pulumi(...args);
}

function launcher(): string {
  return path.join(stack.project, "scripts", "run.mjs");
}

function derpMapOfEngine(): string {
  return stack.output("local", "derpMap");
}

/** As the engine prints JSON: two spaces, a newline at the end. */
function derpMapOfPlan(): string {
  const { stdout } = stack.run(process.execPath, [launcher(), "plan", "--json"]);
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
