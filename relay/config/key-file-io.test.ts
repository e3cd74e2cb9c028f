import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import test from "node:test";
import { parseKeyFile, renderKeyFile } from "../crypto/key-file.ts";
import { privateKeyFromSeed } from "../crypto/keys.ts";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { loadOrCreateKeyFile } from "./key-file-io.ts";

test("9. an existing key file is read and left as it is", async (t) => {
  const path = join(temporaryFolder(t), "derper.key");
  const key = privateKeyFromSeed(Buffer.alloc(32, 7));
  await writeFile(path, renderKeyFile(key));
  assert.deepEqual(await loadOrCreateKeyFile(path), key);
  assert.equal(await readFile(path, "utf8"), renderKeyFile(key));
});

test("9. a missing key file is made in derper's format, with its folders and nothing beside it", async (t) => {
  const folder = join(temporaryFolder(t), "state", "keys");
  const path = join(folder, "derper.key");
  const key = await loadOrCreateKeyFile(path);
  assert.deepEqual(parseKeyFile(await readFile(path, "utf8"), path), key);
  assert.deepEqual(await loadOrCreateKeyFile(path), key);
  assert.deepEqual(await readdir(folder), ["derper.key"]);
});

test(
  "9. nobody but its owner may read a new key file",
  { skip: process.platform === "win32" && "no modes" },
  async (t) => {
    const path = join(temporaryFolder(t), "derper.key");
    await loadOrCreateKeyFile(path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  },
);

test("several that make the file at one moment get one key", async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "derper.key");
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKeyFile(path)));
  assert.equal(new Set(keys.map((key) => key.toString("hex"))).size, 1);
  assert.deepEqual(await readdir(folder), ["derper.key"]);
});

test("a file in another format is an error, and is not replaced", async (t) => {
  const path = join(temporaryFolder(t), "derper.key");
  await writeFile(path, "not a key");
  await assert.rejects(
    loadOrCreateKeyFile(path),
    (error) => error instanceof KitError && error.code === "key-file-invalid" && error.where === path,
  );
  assert.equal(await readFile(path, "utf8"), "not a key");
});

test("a path that leads through a file is an error that names it", async (t) => {
  const file = join(temporaryFolder(t), "file");
  await writeFile(file, "");
  const path = join(file, "derper.key");
  await assert.rejects(
    loadOrCreateKeyFile(path),
    (error) => error instanceof KitError && error.code === "file-unreadable" && error.where === path,
  );
});
