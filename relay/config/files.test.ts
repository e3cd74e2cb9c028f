import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { isErrno, makeFolder, readIfThere, readOrMake, readText, writeWhole } from "./files.ts";

const withoutModes = process.platform === "win32" && "no modes";

/** What a promise is rejected with. */
async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail("it went well"),
    (error: unknown) => error,
  );
}

async function modeOf(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

test("a failed system call is told from other errors, and by its code", async (t) => {
  const missing = await failureOf(readFile(join(temporaryFolder(t), "missing")));
  assert.ok(isErrno(missing) && isErrno(missing, "ENOENT"));
  assert.ok(!isErrno(missing, "EEXIST"));
  assert.ok(isErrno(spawnSync("/nowhere/program").error, "ENOENT"));
  for (const other of [new KitError("usage"), new Error("ENOENT"), { code: "ENOENT", syscall: "open" }, null])
    assert.ok(!isErrno(other));
});

test("a missing file is nothing to who can do without, and an error to who cannot", async (t) => {
  const file = join(temporaryFolder(t), "folder", "file");
  assert.equal(await readIfThere(file), undefined);
  await assert.rejects(readText(file), { code: "file-unreadable", where: file });
});

test("a file that is there but cannot be read is an error to both, with its place, the cause and the given words", async (t) => {
  const folder = temporaryFolder(t);
  for (const read of [readText, readIfThere]) {
    const error = await failureOf(read(folder, "The list cannot be read."));
    assert.ok(error instanceof KitError && isErrno(error.cause, "EISDIR"));
    assert.deepEqual(
      [error.code, error.where, error.message],
      ["file-unreadable", folder, "The list cannot be read."],
    );
    await assert.rejects(read(folder), { message: new KitError("file-unreadable").message });
  }
});

test("a file is made once, in folders of its own, with nothing beside it, and is then read", async (t) => {
  const folder = join(temporaryFolder(t), "a", "b");
  const file = join(folder, "secret");
  assert.equal(await readOrMake(file, () => "first"), "first");
  assert.equal(await readOrMake(file, () => assert.fail("it is there")), "first");
  assert.deepEqual(await readdir(folder), ["secret"]);
});

test("a file that is made is its owner's alone", { skip: withoutModes }, async (t) => {
  const file = join(temporaryFolder(t), "secret");
  await readOrMake(file, () => "text");
  assert.equal(await modeOf(file), 0o600);
});

test("of several that make a file at one moment, all get the same text", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, "secret");
  const texts = await Promise.all(
    Array.from({ length: 8 }, (_, index) => readOrMake(file, () => `${index}`)),
  );
  assert.equal(new Set(texts).size, 1);
  assert.equal(await readFile(file, "utf8"), texts[0]);
  assert.deepEqual(await readdir(folder), ["secret"]);
});

test("a file that comes up while another is made is not replaced", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, "secret");
  const text = await readOrMake(file, () => {
    writeFileSync(file, "theirs");
    return "ours";
  });
  assert.equal(text, "theirs");
  assert.deepEqual(await readdir(folder), ["secret"]);
});

test("a file that cannot be made is an error with the given words", async (t) => {
  const file = join(temporaryFolder(t), "file");
  await writeFile(file, "");
  await assert.rejects(
    readOrMake(join(file, "secret"), () => "text", "No secret."),
    { code: "file-unreadable", where: join(file, "secret"), message: "No secret." },
  );
});

test("a mistake in what makes the text is not taken for one of the file", async (t) => {
  const bug = new Error("bug");
  const made = readOrMake(join(temporaryFolder(t), "file"), () => {
    throw bug;
  });
  assert.equal(await failureOf(made), bug);
});

test(
  "a file is written with its folders and its mode, and replaces what was there",
  { skip: withoutModes },
  async (t) => {
    const folder = join(temporaryFolder(t), "a", "b");
    const file = join(folder, "file");
    await writeWhole(file, "old", 0o644);
    assert.equal(await modeOf(file), 0o644);
    await writeWhole(file, Buffer.of(0xff, 0), 0o600);
    assert.equal(await modeOf(file), 0o600);
    assert.deepEqual(await readFile(file), Buffer.of(0xff, 0));
    assert.deepEqual(await readdir(folder), ["file"]);
  },
);

test(
  "what a killed program left of a draft lends neither content nor mode",
  { skip: withoutModes },
  async (t) => {
    const file = join(temporaryFolder(t), "file");
    await writeFile(`${file}.new`, "half of a longer text");
    await chmod(`${file}.new`, 0o666);
    await writeWhole(file, "text", 0o600);
    assert.equal(await readFile(file, "utf8"), "text");
    assert.equal(await modeOf(file), 0o600);
  },
);

test("a file that cannot be written is the system's error", async (t) => {
  const folder = join(temporaryFolder(t), "folder");
  await mkdir(join(folder, "inner"), { recursive: true });
  assert.ok(isErrno(await failureOf(writeWhole(folder, "text", 0o644))));
});

test("why a folder cannot be made is told, though Node may name another reason for several at once", async (t) => {
  const folder = join(temporaryFolder(t), "a", "b");
  const refusal = (code: string, path: string): Error =>
    Object.assign(new Error(code), { code, syscall: "mkdir", path });
  const readOnly = async (path: string, options: { recursive?: boolean }): Promise<undefined> => {
    throw options.recursive === true ? refusal("ENOENT", dirname(folder)) : refusal("EROFS", path);
  };
  await assert.rejects(makeFolder(folder, 0o700, readOnly as typeof mkdir), {
    code: "EROFS",
    path: dirname(folder),
  });
  await makeFolder(folder);
  await makeFolder(folder);
});
