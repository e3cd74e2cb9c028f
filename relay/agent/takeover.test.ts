import assert from "node:assert/strict";
import { mkdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { releasesInUse, takeOver, takeoverPlaces } from "./takeover.ts";

/** A machine whose updater runs from what stage 1 left. An updater is what its runtime, a shell script, does. */
async function openMachine(t: TestContext) {
  const root = temporaryFolder(t);
  const said: string[] = [];
  const places = takeoverPlaces(root);
  const fill = async (folder: string, updater: string, runtime: string): Promise<string> => {
    await mkdir(path.join(root, "runtimes", runtime), { recursive: true });
    const program = path.join(root, "runtimes", runtime, "runtime");
    await writeFile(program, `#!/bin/sh\ntest "$2" = --check && ! grep -q broken "$1"\n`, { mode: 0o755 });
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "updater.mjs"), updater);
    await symlink(path.relative(folder, path.join(root, "runtimes", runtime)), path.join(folder, "runtime"));
    return folder;
  };
  await fill(path.join(root, "first"), "A", "bun1");
  await symlink("first", places.link);
  return {
    places,
    said,
    release: (digest: string, updater: string, runtime = "bun1") =>
      fill(path.join(root, "releases", digest), updater, runtime),
    takeOver: (release: string) => takeOver(release, places, (line) => void said.push(line)),
  };
}

test("the same updater on the same runtime goes on, and the link leads to the release from then on", async (t) => {
  const { places, release, takeOver: take } = await openMachine(t);
  assert.equal(await take(await release("1111", "A")), false);
  assert.equal(await readlink(places.link), "releases/1111");
  assert.deepEqual(await releasesInUse(places), ["1111"]);
});

for (const [what, updater, runtime] of [
  ["updater", "B", "bun1"],
  ["runtime", "A", "bun2"],
] as const) {
  test(`a new ${what} takes over when it has shown that it works, and the one before is kept`, async (t) => {
    const { places, release, takeOver: take } = await openMachine(t);
    await take(await release("1111", "A"));
    assert.equal(await take(await release("2222", updater, runtime)), true);
    assert.equal(await readlink(places.link), "releases/2222");
    assert.deepEqual((await releasesInUse(places)).toSorted(), ["1111", "2222"]);
  });
}

test("an updater that does not work takes nothing over, and is not asked again", async (t) => {
  const { places, release, said, takeOver: take } = await openMachine(t);
  const broken = await release("2222", "broken");
  assert.equal(await take(broken), false);
  assert.equal(await take(broken), false);
  assert.equal(await readlink(places.link), "first");
  assert.equal(said.length, 1);
  assert.equal(await readFile(places.failed, "utf8"), "2222\n");
});
