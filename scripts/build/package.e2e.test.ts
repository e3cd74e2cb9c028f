import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { buildPackage } from "./package.ts";
import { buildRelayBundle, buildUpdaterBundle } from "../../infra/delivery/relay-bundle.ts";

const root = path.join(import.meta.dirname, "../..");

/** A folder that is what npm installs: the manifest, `dist`, and the dependencies around it. */
const installed = temporaryFolder({ after });
const dist = path.join(installed, "dist");
await cp(path.join(root, "package.json"), path.join(installed, "package.json"));
await symlink(path.join(root, "node_modules"), path.join(installed, "node_modules"));
await mkdir(path.join(dist, "bundles"), { recursive: true });
await writeFile(path.join(dist, "bundles", "kept"), "");
await mkdir(path.join(dist, "infra"));
await writeFile(path.join(dist, "infra", "stale.js"), "");
const relay = await buildRelayBundle(root);
await buildPackage(root, dist, { relay, updater: await buildUpdaterBundle(root) });

const files = (await readdir(dist, { recursive: true })).map((name) => name.replaceAll(path.sep, "/"));

const runNode = (...args: string[]): Promise<{ stdout: string }> =>
  promisify(execFile)(process.execPath, args, { cwd: installed });

test("everything that the package's manifest points to is there", async () => {
  const manifest = await readFile(path.join(installed, "package.json"), "utf8");
  const targets = [...manifest.matchAll(/"\.\/dist\/([^"]+)"/g)].map(([, target = ""]) => target);
  assert.ok(targets.length >= 3);
  assert.deepEqual(
    targets.filter((target) => !files.includes(target)),
    [],
  );
});

test("no TypeScript, no test and nothing from an earlier build is published; bundles are left alone", () => {
  const strange = files.filter(
    (name) => /(?<!\.d)\.ts$|\.(?:test|bench)\.|(?:^|\/)testing\//.test(name) || name === "infra/stale.js",
  );
  assert.deepEqual(strange, []);
  assert.ok(files.includes("bundles/kept"));
});

test("the command runs from the package, and loads every command for its list", async () => {
  const { stdout } = await runNode(path.join(dist, "scripts/run.mjs"), "--help");
  assert.match(stdout, /\n {2}start +\S/);
});

test("the package can be imported by its name", async () => {
  const { stdout } = await runNode(
    "--input-type=module",
    "-e",
    'console.log(typeof (await import("derpkit")).RelayFleet)',
  );
  assert.equal(stdout, "function\n");
});

test("the package's commands use the bundle that was built", async () => {
  const script =
    'const { relayBundle } = await import("./dist/infra/delivery/relay-bundle.js"); console.log((await relayBundle()).sha256)';
  const { stdout } = await runNode("--input-type=module", "-e", script);
  assert.equal(stdout, `${relay.sha256}\n`);
});
