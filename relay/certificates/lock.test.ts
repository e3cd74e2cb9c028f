import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { acquire, beatEveryMs, type Lock, type LockClock, staleAfterMs, watchMs } from "./lock.ts";
import { readOwnIdentity } from "./process-identity.ts";

const forever = new AbortController().signal;
const hour = 3_600_000;

/** Time that passes when the test says so. */
class TestClock implements LockClock {
  readonly #sleepers: { readonly ms: number; wake(): void }[] = [];
  #waiting: (() => void)[] = [];

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      this.#sleepers.push({ ms, wake: resolve });
      for (const tell of this.#waiting.splice(0)) tell();
    });
  }

  /** Wakes who sleeps for so long, as soon as somebody does. */
  async wake(ms: number): Promise<void> {
    await this.asleep(ms);
    const index = this.#sleepers.findIndex((sleeper) => sleeper.ms === ms);
    for (const sleeper of this.#sleepers.splice(index, 1)) sleeper.wake();
  }

  /** Resolves when somebody sleeps for so long. */
  async asleep(ms: number): Promise<void> {
    while (!this.#sleepers.some((sleeper) => sleeper.ms === ms))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** For locks that nobody has to wait for. */
const noWait: LockClock = {
  sleep: (ms, signal) =>
    ms === beatEveryMs ? new TestClock().sleep(ms, signal) : assert.fail(`it waited ${ms} ms`),
};

const look = 1_000;
const newLock = (t: TestContext): string => path.join(temporaryFolder(t), "certs", "relay.lock");

async function generations(folder: string): Promise<number[]> {
  return (await readdir(folder)).map(Number).sort((one, other) => one - other);
}

async function age(file: string, ms: number): Promise<void> {
  const at = (Date.now() - ms) / 1_000;
  await utimes(file, at, at);
}

/** A lock whose holder is on another machine, as far as anybody knows. */
async function foreignLock(folder: string, ageMs: number, text?: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const process_ = { boot: "another", namespaces: "pid", pid: 1, started: "1" };
  const file = path.join(folder, "7");
  await writeFile(
    file,
    text ?? `held\n000000000003\n${JSON.stringify({ token: "theirs", process: process_ })}\n`,
  );
  await age(file, ageMs);
  return file;
}

test("a lock is taken, held, given back, and taken again", async (t) => {
  const folder = newLock(t);
  for (let round = 1; round <= 3; round += 1) {
    const lock = await acquire(folder, forever, noWait);
    assert.equal(await lock.stillHeld(), true);
    await lock[Symbol.asyncDispose]();
    assert.equal(await lock.stillHeld(), false, "what was given back stays so");
  }
  assert.deepEqual(await generations(folder), [1, 2, 3]);
});

test("old generations go, and with them what a killed process left", async (t) => {
  const folder = newLock(t);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "probe-left"), "?");
  for (let round = 0; round < 8; round += 1)
    await (await acquire(folder, forever, noWait))[Symbol.asyncDispose]();
  assert.deepEqual(await generations(folder), [4, 5, 6, 7, 8]);
});

test("the second one waits until the first gives back", async (t) => {
  const folder = newLock(t);
  const clock = new TestClock();
  const first = await acquire(folder, forever, clock);
  let isTaken = false;
  const waiting = acquire(folder, forever, clock).finally(() => {
    isTaken = true;
  });
  for (let looks = 0; looks < 3; looks += 1) await clock.wake(look);
  await clock.asleep(look);
  assert.equal(isTaken, false);
  await first[Symbol.asyncDispose]();
  await clock.wake(look);
  await using second = await waiting;
  assert.deepEqual([await first.stillHeld(), await second.stillHeld()], [false, true]);
});

test("who waits can give up, with the signal's reason", async (t) => {
  const folder = newLock(t);
  await using _ = await acquire(folder, forever, noWait);
  const control = new AbortController();
  const clock = new TestClock();
  const reason = new Error("the relay ends");
  const waiting = assert.rejects(acquire(folder, control.signal, clock), reason);
  await clock.wake(look);
  control.abort(reason);
  await waiting;
  await assert.rejects(acquire(folder, AbortSignal.abort(reason), noWait), reason);
});

test("a holder rewrites its file every 5 s", async (t) => {
  const folder = newLock(t);
  const clock = new TestClock();
  await using lock = await acquire(folder, forever, clock);
  const file = path.join(folder, "1");
  for (const beats of ["000000000001", "000000000002"]) {
    await age(file, hour);
    await clock.wake(beatEveryMs);
    await clock.asleep(beatEveryMs); // Again: it has beaten.
    assert.equal((await readFile(file, "utf8")).split("\n")[1], beats);
    assert.ok(Date.now() - (await stat(file)).mtimeMs < hour / 2);
  }
  assert.equal(await lock.stillHeld(), true);
});

test("a holder without a beat for 30 s, and none while it is watched, loses the lock", async (t) => {
  for (const [ageMs, text] of [
    [staleAfterMs + 2_000, undefined],
    [-hour, undefined],
    [hour, ""],
    [hour, "garbage\n\0\n{"],
  ] as const) {
    const folder = newLock(t);
    await foreignLock(folder, ageMs, text);
    const clock = new TestClock();
    const taking = acquire(folder, forever, clock);
    await clock.wake(watchMs);
    await using lock = await taking;
    assert.equal(await lock.stillHeld(), true);
    assert.deepEqual(await generations(folder), [7, 8]);
  }
});

test("a holder that has beaten lately keeps it, whoever it is", async (t) => {
  for (const text of [undefined, ""]) {
    const folder = newLock(t);
    await foreignLock(folder, 0, text);
    const control = new AbortController();
    const clock = new TestClock();
    const waiting = assert.rejects(acquire(folder, control.signal, clock));
    for (let looks = 0; looks < 3; looks += 1) await clock.wake(look);
    control.abort();
    await waiting;
    assert.deepEqual(await generations(folder), [7], "and nothing is left of who looked");
  }
});

test("a holder that beats while it is watched keeps it: a clock was set, or a machine has slept", async (t) => {
  const folder = newLock(t);
  const file = await foreignLock(folder, hour);
  const control = new AbortController();
  const clock = new TestClock();
  const waiting = assert.rejects(acquire(folder, control.signal, clock));
  for (let beats = 0; beats < 3; beats += 1) {
    await clock.asleep(watchMs);
    await age(file, hour + beats * 1_000 + 1_000);
    await clock.wake(watchMs);
    await clock.wake(look);
  }
  control.abort();
  await waiting;
});

test("a holder that wakes up while its lock is taken keeps it, and the other one gives way", async (t) => {
  const folder = newLock(t);
  const file = await foreignLock(folder, hour);
  const clock = new TestClock();
  const control = new AbortController();
  const own = {
    boot: "here",
    namespaces: "pid",
    pid: 2,
    /** Is read while the next generation is written. */
    get started(): string {
      writeFileSync(file, readFileSync(file, "utf8").replace("3\n", "4\n"));
      return "1";
    },
  };
  const waiting = assert.rejects(acquire(folder, control.signal, clock, own));
  await clock.wake(watchMs);
  await clock.asleep(look);
  control.abort();
  await waiting;
  assert.match(await readFile(path.join(folder, "8"), "utf8"), /^free\n/);
});

test("a holder that lost the lock knows it before it does anything more", async (t) => {
  const folder = newLock(t);
  await using sleeper = await acquire(folder, forever, noWait);
  const file = path.join(folder, "1");
  await writeFile(file, (await readFile(file, "utf8")).replace(/"process":.*/, '"process":{}}'));
  await rm(file);
  assert.equal(await sleeper.stillHeld(), false, "its file is gone");

  const other = newLock(t);
  await using overtaken = await acquire(other, forever, noWait);
  await writeFile(path.join(other, "2"), "held\n");
  assert.equal(await overtaken.stillHeld(), false, "a higher one is there");
  await rm(path.join(other, "2"));
  assert.equal(await overtaken.stillHeld(), false, "and it stays so");
});

test("a holder does not beat for another one that has its number", async (t) => {
  const folder = newLock(t);
  await using lock = await acquire(folder, forever, noWait);
  const theirs = 'held\n000000000000\n{"token":"theirs"}\n';
  await writeFile(path.join(folder, "1"), theirs);
  assert.equal(await lock.stillHeld(), false);
  assert.equal(await readFile(path.join(folder, "1"), "utf8"), theirs);
});

test("of two that take over the same generation one gets it", async (t) => {
  const folder = newLock(t);
  await foreignLock(folder, hour);
  const clocks = [new TestClock(), new TestClock()];
  const control = new AbortController();
  const locks: Lock[] = [];
  const all = clocks.map((clock) =>
    acquire(folder, control.signal, clock).then(
      (lock) => void locks.push(lock),
      () => {},
    ),
  );
  await Promise.all(clocks.map((clock) => clock.wake(watchMs)));
  await Promise.race(all);
  assert.equal(locks.length, 1);
  control.abort();
  await Promise.all(all);
  assert.equal(locks.length, 1);
  assert.equal(await locks[0]?.stillHeld(), true);
  await locks[0]?.[Symbol.asyncDispose]();
});

test("a slow one that takes over a generation of long ago gives way to who has the lock now", async (t) => {
  const folder = newLock(t);
  const file = await foreignLock(folder, hour);
  const clock = new TestClock();
  const control = new AbortController();
  const slow = assert.rejects(acquire(folder, control.signal, clock));
  await clock.asleep(watchMs);
  // Meanwhile others had 8 to 19, and these are gone again.
  const theirs = path.join(folder, "20");
  await writeFile(theirs, await readFile(file));
  await clock.wake(watchMs);
  await clock.asleep(look);
  control.abort();
  await slow;
  assert.deepEqual(await generations(folder), [7, 8, 20]);
  assert.match(await readFile(path.join(folder, "8"), "utf8"), /^free\n/);
  assert.match(await readFile(theirs, "utf8"), /^held\n/);
});

test("a folder that cannot be used is a clear error", async (t) => {
  const folder = path.join(temporaryFolder(t), "file");
  await writeFile(folder, "");
  for (const place of [folder, path.join(folder, "inside")]) {
    await assert.rejects(acquire(place, forever, noWait), {
      code: "certificate-store",
      where: place,
      message: "The lock of a certificate cannot be taken, so none is ordered.",
    });
  }
});

const contender = path.join(import.meta.dirname, "testing", "contender.ts");

function start(t: TestContext, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [contender, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

/** Resolves when it has had the lock. */
async function hasHeld(child: ChildProcess): Promise<void> {
  assert.ok(child.stdout);
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  assert.ok(said.toString().startsWith("held\n"));
}

test(
  "the lock of a process that was killed on this machine is taken at once",
  { skip: readOwnIdentity() === undefined && "this system does not tell" },
  async (t) => {
    const folder = newLock(t);
    const log = path.join(temporaryFolder(t), "log");
    for (let round = 0; round < 2; round += 1) {
      const holder = start(t, folder, log, "0");
      await hasHeld(holder);
      holder.kill("SIGKILL");
      await once(holder, "exit");
      const lock = await acquire(folder, forever, noWait);
      assert.equal(await lock.stillHeld(), true);
      await lock[Symbol.asyncDispose]();
    }
  },
);

test("a process that lives keeps its lock from another", async (t) => {
  const folder = newLock(t);
  await hasHeld(start(t, folder, path.join(temporaryFolder(t), "log"), "0"));
  const control = new AbortController();
  const clock = new TestClock();
  const waiting = assert.rejects(acquire(folder, control.signal, clock));
  for (let looks = 0; looks < 3; looks += 1) await clock.wake(look);
  control.abort();
  await waiting;
});

test("of several processes one at a time has the lock, also when some are killed", async (t) => {
  const folder = newLock(t);
  const log = path.join(temporaryFolder(t), "log");
  await writeFile(log, "");
  const doomed = start(t, folder, log, "100000");
  const children = [1, 2, 3].map(() => start(t, folder, log, "40"));
  const ends = children.map((child) => once(child, "exit"));
  await hasHeld(doomed);
  doomed.kill("SIGKILL");
  await once(doomed, "exit");
  assert.deepEqual(
    (await Promise.all(ends)).map(([status]: unknown[]) => status),
    [0, 0, 0],
  );
  const counts = new Map<string, number>();
  let holder: string | undefined;
  for (const line of (await readFile(log, "utf8")).trim().split("\n")) {
    const [what, who = ""] = line.split(" ");
    if (what === "takes") {
      assert.ok(holder === undefined || holder === `${doomed.pid}`, `${who} and ${holder} at once`);
      holder = who;
      counts.set(who, (counts.get(who) ?? 0) + 1);
    } else {
      assert.deepEqual([what, who], ["gives", holder]);
      holder = undefined;
    }
  }
  for (const { pid } of children) assert.equal(counts.get(`${pid}`), 40);
});
