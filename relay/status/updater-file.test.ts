import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { createUpdaterFile, type ReadUpdater } from "./updater-file.ts";

const at = "2026-11-30T21:00:00Z";
const written = (sequence: number): string =>
  JSON.stringify({ format: 1, state: "current", sequence, version: null, digest: null, refusals: [], at });

interface Read {
  readonly file: string;
  readonly read: ReadUpdater;
  /** Lets so many milliseconds pass. */
  readonly pass: (ms: number) => void;
}

function start(t: TestContext): Read {
  const file = join(temporaryFolder(t), "updater.json");
  let time = 0;
  return { file, read: createUpdaterFile(file, () => time), pass: (ms) => void (time += ms) };
}

test("the file is read when it is asked for, and once a second at most", (t) => {
  const { file, read, pass } = start(t);
  writeFileSync(file, written(1));
  assert.equal(read()?.sequence, 1);
  writeFileSync(file, written(2));
  pass(999);
  assert.equal(read()?.sequence, 1);
  pass(1);
  assert.equal(read()?.sequence, 2);
});

test("a file that is missing, is none, or says nothing that can be read says nothing, until it does", (t) => {
  const { file, read, pass } = start(t);
  const after = (change: () => void): number | null | undefined => {
    change();
    pass(1_000);
    return read()?.sequence;
  };
  assert.equal(read(), undefined);
  assert.equal(
    after(() => writeFileSync(file, '{"format":1')),
    undefined,
  );
  assert.equal(
    after(() => writeFileSync(file, written(3))),
    3,
  );
  assert.equal(
    after(() => writeFileSync(file, written(3) + " ".repeat(70_000))),
    undefined,
    "no status is so long",
  );
  assert.equal(
    after(() => rmSync(file)),
    undefined,
  );
  assert.equal(
    after(() => mkdirSync(file)),
    undefined,
  );
});
