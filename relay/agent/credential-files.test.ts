import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { areCredentials, writeCredentials } from "./credential-files.ts";

const names = ["mesh-key", "status-token"];

test("each credential is a file for its owner's eyes only; what there is no longer goes, and what nobody wants never comes", async (t) => {
  const folder = join(temporaryFolder(t), "credentials");
  const both = new Map([
    ["mesh-key", "one"],
    ["status-token", "two"],
    ["other", "three"],
  ]);
  assert.equal(await areCredentials(folder, names, new Map()), true);
  assert.equal(await areCredentials(folder, names, both), false);
  await writeCredentials(folder, names, both);
  assert.deepEqual((await readdir(folder)).toSorted(), names);
  assert.equal(await readFile(join(folder, "mesh-key"), "utf8"), "one\n");
  if (process.platform !== "win32") {
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, "mesh-key"))).mode & 0o777, 0o600);
  }
  assert.equal(await areCredentials(folder, names, both), true);
  assert.equal(await areCredentials(folder, names, new Map([...both, ["mesh-key", "changed"]])), false);
  const less = new Map([["status-token", "two"]]);
  assert.equal(await areCredentials(folder, names, less), false);
  await writeCredentials(folder, names, less);
  assert.deepEqual(await readdir(folder), ["status-token"]);
  assert.equal(await areCredentials(folder, names, less), true);
});
