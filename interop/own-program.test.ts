/**
 * The kit in somebody else's Pulumi program: the published package, installed into an empty folder beside TypeScript 5, and
 * three lines. Needs npm's registry.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { installPackages, packKit, runProgram } from "./packed-kit.ts";
import { startClouds, whyNoClouds } from "./simcloud.ts";

const root = path.join(import.meta.dirname, "..");

/** A folder with the package, as `npm install` leaves it. */
function installPackage(t: TestContext): string {
  const folder = temporaryFolder(t);
  const project = path.join(folder, "project");
  const archive = packKit(folder);
  mkdirSync(project);
  const manifest = {
    name: "our-relays",
    private: true,
    type: "module",
    dependencies: { derpkit: `file:${archive}` },
    devDependencies: { typescript: "5.9.3" },
  };
  writeFileSync(path.join(project, "package.json"), JSON.stringify(manifest));
  installPackages(project);
  return project;
}

test("a program of three lines previews a fleet", { skip: whyNoClouds ?? false }, async (t) => {
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
  assert.equal(runProgram(project, "npx", ["tsc", "--version"]).trim(), "Version 5.9.3");
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
  runProgram(project, "npx", ["tsc", ...types]);
  await using clouds = await startClouds();
  mkdirSync(path.join(project, "state"));
  const environment = {
    ...clouds.environment,
    PULUMI_BACKEND_URL: `file://${path.join(project, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_HOME: path.join(project, "home"),
  };
  runProgram(project, "pulumi", ["stack", "init", "prod", "--non-interactive"], environment);
  const preview = runProgram(
    project,
    "pulumi",
    ["preview", "--non-interactive", "--stack", "prod"],
    environment,
  );
  assert.match(preview, /hcloud:index:Server +derp-901-901a-server +create/);
  assert.match(preview, /command:local:Command +derp-901-gate +create/);
  assert.match(preview, /18 to create/);
});
