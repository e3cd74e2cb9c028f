import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { sha256Hex } from "../relay/updater/manifest.ts";
import { readNodes } from "./bundle.ts";
import { knownAfterUp } from "./cli/program.ts";

const kit = path.join(import.meta.dirname, "..");

test("bundles hold what the command says, are complete for every node, and come out the same again", async (t) => {
  const root = temporaryFolder(t);
  for (const name of ["Pulumi.yaml", "Pulumi.local.yaml"])
    await cp(path.join(kit, name), path.join(root, name));
  const run = async (): Promise<{ regions: Region[] }> => {
    const args = [path.join(kit, "scripts/run.mjs"), "bundle", "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
    return JSON.parse(stdout);
  };

  const first = await run();
  assert.ok(first.regions.length > 1);
  for (const { folder, files } of first.regions) {
    const onDisk = await readdir(path.join(root, folder), { recursive: true });
    assert.deepEqual(
      onDisk.filter((name) => name !== "config").toSorted(),
      files.map((file) => file.path).toSorted(),
    );
    assert.ok(files.some((file) => file.path.startsWith("config/")));
    for (const file of files) {
      assert.equal(sha256Hex(await readFile(path.join(root, folder, file.path))), file.sha256);
    }
  }
  const relays = first.regions.map(({ files }) => files.find((file) => file.path === "relay.mjs")?.sha256);
  assert.equal(new Set(relays).size, 1, "every region has the same relay");
  assert.deepEqual(await run(), first);
});

test("a key that the machines do not trust signs no bundle, and the error says which they would have to", async (t) => {
  const root = temporaryFolder(t);
  for (const name of ["Pulumi.yaml", "Pulumi.hetzner.yaml"])
    await cp(path.join(kit, name), path.join(root, name));
  const args = [path.join(kit, "scripts/run.mjs"), "bundle", "--stack", "hetzner", "--json"];
  const failed: unknown = await promisify(execFile)(process.execPath, args, { cwd: root }).catch(
    (reason: unknown) => reason,
  );
  assert.ok(failed instanceof Error && "code" in failed && "stdout" in failed);
  assert.equal(failed.code, 1);
  const { error }: { error: { code: string; problems: unknown[] } } = JSON.parse(String(failed.stdout));
  assert.equal(error.code, "signing-key-untrusted");
  assert.match(JSON.stringify(error.problems), /derpkit:trustedKeys.*lacks MCow/);
  assert.deepEqual((await readdir(root)).toSorted(), [".derpkit", "Pulumi.hetzner.yaml", "Pulumi.yaml"]);
});

test("what only the cloud knew is taken from the stack's output: a node's own address, and those of its neighbours", async (t) => {
  const file = path.join(temporaryFolder(t), "nodes.json");
  const addresses = { hostname: "203.0.113.7", acmeIps: "203.0.113.7", meshWith: "203.0.113.8" };
  await writeFile(file, JSON.stringify([{ name: "901a", relayConfig: { ...addresses, listen: ":1" } }]));
  const open = {
    name: "901a",
    relayConfig: { hostname: knownAfterUp, meshWith: knownAfterUp, httpPort: -1 },
  };
  const known = { name: "902a", relayConfig: { hostname: "902a.derp.example.com" } };
  assert.deepEqual(await readNodes(file, [open, known]), [
    { name: "901a", relayConfig: { ...addresses, httpPort: -1 } },
    known,
  ]);
  await writeFile(file, "{}");
  await assert.rejects(readNodes(file, [open]), /takes the stack's output/);
});

interface Region {
  readonly folder: string;
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
}
