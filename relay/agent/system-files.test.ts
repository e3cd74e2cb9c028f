import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { installSystemFiles } from "./system-files.ts";

test("settings are put in their places once, the system is told of what it has to know, and what is gone is taken away", async (t) => {
  const root = temporaryFolder(t);
  const [from, etc] = [path.join(root, "release"), path.join(root, "etc")];
  await mkdir(from);
  for (const name of ["sysctl.conf", "apt.conf", "passwd"]) await writeFile(path.join(from, name), name);
  assert.deepEqual(await installSystemFiles(from, etc), [["sysctl", "--quiet", "--system"]]);
  assert.equal(await readFile(path.join(etc, "sysctl.d/60-derpkit.conf"), "utf8"), "sysctl.conf");
  assert.equal(await readFile(path.join(etc, "apt/apt.conf.d/60-derpkit"), "utf8"), "apt.conf");
  assert.deepEqual(
    (await readdir(etc)).toSorted(),
    ["apt", "sysctl.d"],
    "a file of another name has no place",
  );
  assert.deepEqual(await installSystemFiles(from, etc), []);
  await rm(path.join(from, "sysctl.conf"));
  assert.deepEqual(await installSystemFiles(from, etc), [["sysctl", "--quiet", "--system"]]);
  assert.deepEqual(await readdir(path.join(etc, "sysctl.d")), []);
});

test("a release without settings, as one of before, changes nothing", async (t) => {
  const root = temporaryFolder(t);
  assert.deepEqual(await installSystemFiles(path.join(root, "none"), path.join(root, "etc")), []);
});
