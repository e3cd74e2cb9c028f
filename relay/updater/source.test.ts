import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { folderSource } from "./source.ts";

const signal = new AbortController().signal;
const unreadable = { name: "KitError", code: "delivery-unreadable" };

function folderWith(t: TestContext, files: Record<string, string | Buffer>): string {
  const folder = temporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

test("a file is given as it is, a missing one as nothing", async (t) => {
  const source = folderSource(folderWith(t, { "config/901a.json": "{}", empty: "" }));
  assert.equal(String(await source.fetch("config/901a.json", { maxBytes: 2, signal })), "{}");
  assert.equal(String(await source.fetch("empty", { maxBytes: 2, signal })), "");
  assert.equal(await source.fetch("config/901b.json", { maxBytes: 2, signal }), undefined);
  assert.equal(await source.fetch("nowhere/901b.json", { maxBytes: 2, signal }), undefined);
});

test("no more than one byte beyond the limit is read", async (t) => {
  const source = folderSource(folderWith(t, { huge: Buffer.alloc(1_000_000) }));
  assert.equal((await source.fetch("huge", { maxBytes: 100, signal }))?.length, 101);
});

test("a link, a folder, a FIFO and a device are not files", async (t) => {
  const folder = folderWith(t, { file: "x" });
  symlinkSync("file", path.join(folder, "link"));
  symlinkSync("/dev/zero", path.join(folder, "device"));
  execFileSync("mkfifo", [path.join(folder, "fifo")]);
  const source = folderSource(folder);
  for (const name of ["link", "device", "fifo", "."]) {
    await assert.rejects(async () => source.fetch(name, { maxBytes: 100, signal }), unreadable, name);
  }
});

test("a device is no file either when the folder itself leads to it", async () => {
  await assert.rejects(async () => folderSource("/dev").fetch("zero", { maxBytes: 100, signal }), unreadable);
});

test("nothing is read once the signal is aborted", async (t) => {
  const source = folderSource(folderWith(t, { file: "x" }));
  const reason = new Error("stopped");
  await assert.rejects(
    async () => source.fetch("file", { maxBytes: 1, signal: AbortSignal.abort(reason) }),
    reason,
  );
});
