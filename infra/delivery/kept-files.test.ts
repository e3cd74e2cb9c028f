import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { keepFiles } from "./kept-files.ts";

const [one, two] = [Buffer.from("one"), Buffer.from("two")];

test("files are kept under their digests, those that are there are left alone, and the others go", async (t) => {
  const folder = path.join(temporaryFolder(t), "releases", "prod");
  const first = await keepFiles(folder, [one, two, one]);
  assert.equal(first[0], first[2]);
  assert.deepEqual(
    first.map((file) => readFileSync(file, "utf8")),
    ["one", "two", "one"],
  );
  const { ino } = statSync(first[0] ?? "");
  assert.deepEqual(await keepFiles(folder, [one]), [first[0]]);
  assert.equal(statSync(first[0] ?? "").ino, ino);
  assert.deepEqual(readdirSync(folder), [path.basename(first[0] ?? "")]);
});

test("a folder that cannot be written is said", async (t) => {
  const file = path.join(temporaryFolder(t), "file");
  writeFileSync(file, "");
  await assert.rejects(keepFiles(path.join(file, "releases"), [one]), { code: "file-unreadable" });
});
