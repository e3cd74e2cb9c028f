import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readlink, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { prepareRuntime, pruneRuntimes } from "./runtime.ts";

/** A machine with releases, each with an archive as npm has it, whose program says its name. */
function openMachine(t: TestContext) {
  const root = temporaryFolder(t);
  const runtimes = path.join(root, "runtimes");
  return {
    runtimes,
    addRelease: async (name: string, program: "bun" | "node", says: string): Promise<string> => {
      const release = path.join(root, "releases", name);
      const content = path.join(root, `content-${name}`, "package", "bin");
      await mkdir(content, { recursive: true });
      await writeFile(path.join(content, program), `#!/bin/sh\necho ${says}\n`);
      const folder = path.join(release, "runtime-archive");
      await mkdir(folder, { recursive: true });
      // Without times, so that equal content gives equal archives.
      const from = path.join(root, `content-${name}`);
      execFileSync("tar", ["-czf", path.join(folder, "runtime.tgz"), "--mtime=@0", "-C", from, "package"]);
      return release;
    },
  };
}

function run(release: string): string {
  return execFileSync(path.join(release, "runtime", "runtime"), { encoding: "utf8" }).trim();
}

for (const program of ["bun", "node"] as const) {
  test(`the archive of ${program} is unpacked, and the release leads to the program`, async (t) => {
    const { addRelease, runtimes } = openMachine(t);
    const release = await addRelease("a", program, program);
    await prepareRuntime(release, runtimes);
    assert.equal(run(release), program);
  });
}

test("releases with the same archive share a runtime, and a second time nothing is unpacked", async (t) => {
  const { addRelease, runtimes } = openMachine(t);
  const [a, b] = [await addRelease("a", "bun", "1"), await addRelease("b", "bun", "1")];
  await prepareRuntime(a, runtimes);
  const [digest = ""] = await readdir(runtimes);
  const before = (await stat(path.join(runtimes, digest))).ino;
  await prepareRuntime(a, runtimes);
  await prepareRuntime(b, runtimes);
  assert.deepEqual(await readdir(runtimes), [digest]);
  assert.equal((await stat(path.join(runtimes, digest))).ino, before);
  assert.equal(path.basename(await readlink(path.join(b, "runtime"))), digest);
});

test("of a release that was made ready before the archive is not read again", async (t) => {
  const { addRelease, runtimes } = openMachine(t);
  const release = await addRelease("a", "bun", "ready");
  await prepareRuntime(release, runtimes);
  await rm(path.join(release, "runtime-archive"), { recursive: true });
  await prepareRuntime(release, runtimes);
  assert.equal(run(release), "ready");
});

test("what a power cut left half unpacked is not taken for a runtime", async (t) => {
  const { addRelease, runtimes } = openMachine(t);
  const release = await addRelease("a", "bun", "whole");
  await prepareRuntime(release, runtimes);
  const [digest = ""] = await readdir(runtimes);
  const other = openMachine(t);
  const again = await other.addRelease("a", "bun", "whole");
  await mkdir(path.join(other.runtimes, `${digest}.partial`), { recursive: true });
  await mkdir(path.join(other.runtimes, digest), { recursive: true });
  await prepareRuntime(again, other.runtimes);
  assert.equal(run(again), "whole");
});

test("runtimes that no release leads to are removed", async (t) => {
  const { addRelease, runtimes } = openMachine(t);
  const [a, b] = [await addRelease("a", "bun", "1"), await addRelease("b", "node", "2")];
  await prepareRuntime(a, runtimes);
  await prepareRuntime(b, runtimes);
  await pruneRuntimes(runtimes, [b]);
  assert.deepEqual(await readdir(runtimes), [path.basename(await readlink(path.join(b, "runtime")))]);
  assert.equal(run(b), "2");
});

test("an archive that is none, or has no runtime in it, is refused", async (t) => {
  const root = temporaryFolder(t);
  const release = path.join(root, "releases", "a");
  const isUnusable = (error: unknown): boolean =>
    error instanceof KitError && error.code === "runtime-unusable";
  await mkdir(path.join(release, "runtime-archive"), { recursive: true });
  await assert.rejects(prepareRuntime(release, path.join(root, "runtimes")), isUnusable);
  await writeFile(path.join(release, "runtime-archive", "runtime.tgz"), "no archive");
  await assert.rejects(prepareRuntime(release, path.join(root, "runtimes")), isUnusable);
});
