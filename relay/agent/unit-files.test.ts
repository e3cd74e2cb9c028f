import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { installUnits } from "./unit-files.ts";

const stage0 = new Set(["derpkit-stage0.service"]);

async function openFolders(t: TestContext, units: Readonly<Record<string, string>>) {
  const root = temporaryFolder(t);
  const [from, to] = [path.join(root, "from"), path.join(root, "to")];
  await mkdir(from);
  await mkdir(to);
  for (const [name, text] of Object.entries(units)) await writeFile(path.join(from, name), text);
  return { from, to };
}

test("new units are written, and a second run touches nothing", async (t) => {
  const { from, to } = await openFolders(t, { "derpkit-relay.service": "A", "derpkit-derp.socket": "B" });
  assert.deepEqual(await installUnits(from, to, stage0), {
    written: ["derpkit-derp.socket", "derpkit-relay.service"],
    removed: [],
  });
  const before = (await stat(path.join(to, "derpkit-relay.service"))).ino;
  assert.deepEqual(await installUnits(from, to, stage0), { written: [], removed: [] });
  assert.equal((await stat(path.join(to, "derpkit-relay.service"))).ino, before);
});

test("a unit that changed is replaced, one that the release lacks is removed, others' units and stage 0 stay", async (t) => {
  const { from, to } = await openFolders(t, { "derpkit-relay.service": "new" });
  const present = {
    "derpkit-relay.service": "old",
    "derpkit-http.socket": "gone",
    "derpkit-stage0.service": "stage 0",
    "ssh.service": "theirs",
  };
  for (const [name, text] of Object.entries(present)) await writeFile(path.join(to, name), text);
  assert.deepEqual(await installUnits(from, to, stage0), {
    written: ["derpkit-relay.service"],
    removed: ["derpkit-http.socket"],
  });
  assert.deepEqual((await readdir(to)).toSorted(), [
    "derpkit-relay.service",
    "derpkit-stage0.service",
    "ssh.service",
  ]);
  assert.equal(await readFile(path.join(to, "derpkit-relay.service"), "utf8"), "new");
});

test("a release cannot bring a unit of another name", async (t) => {
  const { from, to } = await openFolders(t, { "ssh.service": "evil", "derpkit-x.mount": "evil" });
  assert.deepEqual(await installUnits(from, to, stage0), { written: [], removed: [] });
  assert.deepEqual(await readdir(to), []);
});
