import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { renderNodeKey } from "../crypto/keys.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { AllowList } from "./allow-list.ts";
import { bench, type Bench } from "./testing/cast.ts";
import { applicant, someKey } from "./testing/applicants.ts";
import { unknown, type Verdict } from "./verdict.ts";

const day = 86_400_000;
const alice = applicant();
const bob = applicant();
const lineOf = ({ key }: typeof alice): string => `${renderNodeKey(key)}\n`;

interface Stage {
  readonly file: string;
  readonly list: AllowList;
  readonly clock: Bench;
  /** A second later: what is said of alice and bob. */
  readonly look: () => Promise<Verdict["kind"][]>;
}

function stage(t: TestContext, text?: string): Stage {
  const file = path.join(temporaryFolder(t), "list");
  if (text !== undefined) writeFileSync(file, text);
  const clock = bench();
  const list = new AllowList({ ...clock, file, staleMs: day });
  async function look(): Promise<Verdict["kind"][]> {
    clock.time += 1_000;
    return [(await list.check(alice)).kind, (await list.check(bob)).kind];
  }
  return { file, list, clock, look };
}

test("who is on the list is allowed, who is not is denied", async (t) => {
  const { look } = stage(t, lineOf(alice));
  assert.deepEqual(await look(), ["allow", "deny"]);
});

test("a changed list counts a second later, however it was changed", async (t) => {
  const { file, look } = stage(t, lineOf(alice));
  assert.deepEqual(await look(), ["allow", "deny"]);
  appendFileSync(file, lineOf(bob));
  assert.deepEqual(await look(), ["allow", "allow"]);
  writeFileSync(`${file}.new`, lineOf(bob));
  renameSync(`${file}.new`, file);
  assert.deepEqual(await look(), ["deny", "allow"]);
});

test("a change that keeps size and time of modification is seen", async (t) => {
  const { file, look } = stage(t, lineOf(alice));
  utimesSync(file, 1_000, 1_000);
  assert.deepEqual(await look(), ["allow", "deny"]);
  writeFileSync(file, lineOf(bob));
  utimesSync(file, 1_000, 1_000);
  assert.deepEqual(await look(), ["deny", "allow"]);
});

test("the file is looked at once a second at most, or after a reload", async (t) => {
  const { file, list, look } = stage(t, lineOf(alice));
  await look();
  writeFileSync(file, lineOf(bob));
  assert.equal((await list.check(alice)).kind, "allow");
  list.reload();
  assert.equal((await list.check(alice)).kind, "deny");
});

test("a list that is missing, empty or half-written denies nobody, and counts again once it is whole", async (t) => {
  const { file, look } = stage(t);
  assert.deepEqual(await look(), ["unknown", "unknown"]);
  writeFileSync(file, lineOf(alice));
  assert.deepEqual(await look(), ["allow", "deny"]);
  for (const spoil of [() => truncateSync(file, 30), () => truncateSync(file), () => rmSync(file)]) {
    spoil();
    assert.deepEqual(await look(), ["allow", "unknown"], "the last good list stands for those on it");
  }
  writeFileSync(file, lineOf(bob));
  assert.deepEqual(await look(), ["deny", "allow"]);
  rmSync(file);
  assert.deepEqual(await look(), ["unknown", "allow"]);
});

test("the last good list stands for a day from the last time that it was good", async (t) => {
  const { file, list, clock, look } = stage(t, lineOf(alice));
  await look();
  clock.time += 3_600_000;
  await look();
  const asOf = clock.time;
  rmSync(file);
  list.reload();
  clock.time = asOf + day;
  assert.deepEqual(await list.check(alice), { kind: "allow", asOf });
  clock.time += 1;
  assert.equal((await list.check(alice)).kind, "unknown");
});

test("how many keys the last good list has, as of when, and how often it could be read is told", async (t) => {
  const { file, list, clock, look } = stage(t, lineOf(alice) + lineOf(bob));
  assert.deepEqual(list.list, { keys: 0, asOf: undefined, reads: 0, failedReads: 0 });
  await look();
  await look();
  const asOf = clock.time;
  assert.deepEqual(list.list, { keys: 2, asOf, reads: 2, failedReads: 0 });
  rmSync(file);
  await look();
  assert.deepEqual(list.list, { keys: 2, asOf, reads: 3, failedReads: 1 });
});

test("the log tells when the file goes bad, when for another reason, and when it is good again", async (t) => {
  const { file, clock, look } = stage(t, lineOf(alice));
  await look();
  truncateSync(file, 30);
  await look();
  await look();
  truncateSync(file);
  await look();
  writeFileSync(file, lineOf(alice));
  await look();
  assert.deepEqual(clock.lines, [
    `the allow-list ${file} is not used: its last line has no end`,
    `the allow-list ${file} is not used: it is empty and does not say "# nobody"`,
    `the allow-list ${file} is read again`,
  ]);
});

test("a list that says nobody denies everybody, whoever was on it before", async (t) => {
  const { file, look } = stage(t, lineOf(alice));
  assert.deepEqual(await look(), ["allow", "deny"]);
  writeFileSync(file, "# nobody\n");
  assert.deepEqual(await look(), ["deny", "deny"]);
});

test("a link to a list is followed; a folder, a FIFO, a device and a huge file are no lists", async (t) => {
  const { file, look } = stage(t);
  writeFileSync(`${file}.target`, lineOf(alice));
  symlinkSync("list.target", file);
  assert.deepEqual(await look(), ["allow", "deny"]);
  execFileSync("mkfifo", [`${file}.fifo`]);
  writeFileSync(`${file}.huge`, "");
  truncateSync(`${file}.huge`, 16_777_217);
  for (const target of ["list.fifo", "list.huge", "/dev/zero", "."]) {
    rmSync(file);
    symlinkSync(target, file);
    assert.deepEqual(await look(), ["allow", "unknown"], target);
  }
});

test("the reason names the file and not what is in it", async (t) => {
  const secret = renderNodeKey(someKey()).slice(0, -1);
  const { file, list, clock } = stage(t, `${secret}\n`);
  clock.time += 1_000;
  assert.deepEqual(await list.check(alice), unknown(`${file}: line 1 is no key`, "list"));
});
