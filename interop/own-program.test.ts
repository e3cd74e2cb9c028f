/**
 * The kit in somebody else's Pulumi program: the published package, installed into an empty folder beside TypeScript 5, and
 * three lines. Needs npm's registry.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { startClouds, whyNoClouds } from "./simcloud.ts";

const root = path.join(import.meta.dirname, "..");
const timeout = 600_000;

/** @returns its standard output */
function run(cwd: string, program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: {
      ...process.env,
      PATH: [path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter),
      ...more,
    },
    encoding: "utf8",
  });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** A folder with the package, as `npm install` leaves it. */
function installPackage(t: TestContext): string {
  const folder = temporaryFolder(t);
  const [checkout, project] = [path.join(folder, "checkout"), path.join(folder, "project")];
  for (const part of readdirSync(root)) {
    if (![".git", "node_modules", "dist", ".derpkit"].includes(part))
      cpSync(path.join(root, part), path.join(checkout, part), { recursive: true });
  }
  symlinkSync(path.join(root, "node_modules"), path.join(checkout, "node_modules"));
  run(checkout, process.execPath, ["scripts/run.mjs", "build"]);
  run(checkout, "npm", ["pack", "--silent", "--pack-destination", folder]);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  assert.ok(archive);
  mkdirSync(project);
  const manifest = {
    name: "our-relays",
    private: true,
    type: "module",
    dependencies: { derpkit: `file:../${archive}` },
    devDependencies: { typescript: "5.9.3" },
  };
  writeFileSync(path.join(project, "package.json"), JSON.stringify(manifest));
  run(project, "npm", ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
  return project;
}

test("a program of three lines previews a fleet", { timeout, skip: whyNoClouds ?? false }, async (t) => {
  const project = installPackage(t);
  writeFileSync(
    path.join(project, "index.ts"),
    `import { createFleet } from "derpkit";

export const { derpMap, derpMapJson, unverified, nodes, dnsRecords, next, releases } = await createFleet();
`,
  );
  writeFileSync(
    path.join(project, "Pulumi.yaml"),
    "name: our-relays\nmain: index.ts\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
  );
  const example = readFileSync(path.join(root, "Pulumi.hetzner.yaml"), "utf8");
  writeFileSync(path.join(project, "Pulumi.prod.yaml"), example);
  assert.equal(run(project, "npx", ["tsc", "--version"]).trim(), "Version 5.9.3");
  const types = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "index.ts",
  ];
  run(project, "npx", ["tsc", ...types]);
  await using clouds = await startClouds();
  mkdirSync(path.join(project, "state"));
  const environment = {
    ...clouds.environment,
    PULUMI_BACKEND_URL: `file://${path.join(project, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_HOME: path.join(project, "home"),
  };
  run(project, "pulumi", ["stack", "init", "prod", "--non-interactive"], environment);
  const preview = run(project, "pulumi", ["preview", "--non-interactive", "--stack", "prod"], environment);
  assert.match(preview, /hcloud:index:Server +derp-901-901a-server +create/);
  assert.match(preview, /command:local:Command +derp-901-gate +create/);
  assert.match(preview, /18 to create/);
});
