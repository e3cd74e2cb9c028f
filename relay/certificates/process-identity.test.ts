import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { isKnownDead, parseProcessStat, type ProcessIdentity, readOwnIdentity } from "./process-identity.ts";

const own = readOwnIdentity();
const notHere = own === undefined && "this system does not tell";

test("Linux tells who we are, and we are not dead", { skip: process.platform !== "linux" }, () => {
  assert.ok(own);
  assert.equal(own.pid, process.pid);
  assert.deepEqual(readOwnIdentity(), own);
  assert.equal(isKnownDead(own, own), false);
});

test(
  "a process that has ended is known to be dead, by its number and by its start",
  { skip: notHere },
  async () => {
    const me = own as ProcessIdentity;
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(child, "spawn");
    const other = { ...me, pid: child.pid ?? 0 };
    assert.equal(isKnownDead(other, me), true, "another start: the number was given to somebody else");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(isKnownDead(other, me), true);
  },
);

test("one that was killed and that nobody has asked after is dead as well", { skip: notHere }, async (t) => {
  const me = own as ProcessIdentity;
  // The second program takes the shell's place, and knows nothing of the first one. The shell would.
  const parent = spawn("sh", ["-c", "sleep 600 >&- & echo $!; exec sleep 600"]);
  t.after(() => parent.kill("SIGKILL"));
  const [said] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(said.toString());
  while (readFileSync(`/proc/${parent.pid}/comm`, "utf8") === "sh\n") await setImmediate();
  const readStat = () => parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const other = { ...me, pid, started: readStat()?.started ?? "" };
  assert.equal(isKnownDead(other, me), false);
  process.kill(pid, "SIGKILL");
  while (!isKnownDead(other, me)) await setImmediate();
  assert.equal(readStat()?.state, "Z");
});

test(
  "of another machine, another start of it, or another container nothing is known",
  { skip: notHere },
  () => {
    const me = own as ProcessIdentity;
    const gone = { ...me, started: "1" };
    assert.equal(isKnownDead(gone, me), true);
    assert.equal(isKnownDead({ ...gone, boot: "another" }, me), false);
    assert.equal(isKnownDead({ ...gone, namespaces: "another" }, me), false);
    assert.equal(isKnownDead(gone, undefined), false);
  },
);

test("state and start are found behind any name that a program may have", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
  for (const name of ["node", "a b", "a) Z 1", ")", "(", "a\nb"])
    assert.deepEqual(parseProcessStat(`7 (${name}) ${rest}\n`), { state: "S", started: "4242" });
  for (const text of ["", "7 (node)", "7 (node) S 1 2", "garbage", `7 (node) ${rest.replace("4242", "x")}`])
    assert.equal(parseProcessStat(text), undefined, text);
});
