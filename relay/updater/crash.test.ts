/** What is left when an updater is killed, or when its disk fails, between any two of the things that it does. */
import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { Installer } from "./installer.ts";
import { type FileSystem, Machine } from "./machine.ts";
import type { Service } from "./service.ts";
import { folderSource, type Source } from "./source.ts";
import { decodeState, type UpdaterState } from "./state.ts";
import { type Offer, openStage, type Stage } from "./testing/stage.ts";
import { readBootKeys } from "./trusted-keys.ts";

/** Once lit it counts what reaches outside, and fails one call, or that and all later ones. */
class Fuse {
  #left = Infinity;
  readonly #error: () => Error;
  readonly #forGood: boolean;

  constructor(error: () => Error, { forGood }: { forGood: boolean }) {
    this.#error = error;
    this.#forGood = forGood;
  }

  /** The call with this number, from 1, will fail. */
  light(step: number): void {
    this.#left = step;
  }

  get blown(): boolean {
    return this.#left <= 0;
  }

  /** The same object, with every method behind this fuse. */
  guard<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== "function") return member;
        return async (...args: unknown[]): Promise<unknown> => {
          this.#left -= 1;
          if (this.#left === 0 || (this.#forGood && this.#left < 0)) {
            // A write that is cut short leaves some of its bytes.
            if (name === "writeFile" && this.#left === 0) await writeHalf(args);
            throw this.#error();
          }
          return Reflect.apply(member, object, args);
        };
      },
    });
  }
}

async function writeHalf([file, bytes]: unknown[]): Promise<void> {
  if (typeof file !== "string" || !(bytes instanceof Uint8Array)) return;
  await nodeFs.writeFile(file, bytes.subarray(0, bytes.length / 2)).catch(() => {});
}

class Killed extends Error {}

/** The process ends: nothing more reaches outside. */
const killing = (): Fuse => new Fuse(() => new Killed(), { forGood: true });

/** The disk fails once. */
const fullDisk = (): Fuse =>
  new Fuse(() => Object.assign(new Error("no space left on device"), { errno: -28, code: "ENOSPC" }), {
    forGood: false,
  });

interface Outside {
  readonly fs: FileSystem;
  readonly source: Source;
  readonly service: Service;
}

const outside = (stage: Stage): Outside => ({
  fs: nodeFs,
  source: folderSource(stage.delivery),
  service: stage.service,
});

const guardAll = (fuse: Fuse, { fs, source, service }: Outside): Outside => ({
  fs: fuse.guard({ ...fs }),
  source: fuse.guard(source),
  service: fuse.guard(service),
});

function open(stage: Stage, { fs, source, service }: Outside): Promise<Installer> {
  return Installer.open({
    identity: { stack: "test", region: "alfa", node: "901a" },
    source,
    bootKeys: readBootKeys([stage.keys.trusted]),
    machine: new Machine(stage.root, fs),
    service,
    healthLimit: 10_000,
    firstHealthLimit: 10_000,
    inUse: async () => [],
    retryFailed: false,
    auditDelivery: false,
    settle: () => Promise.resolve(),
    log: () => {},
  });
}

const never = new AbortController().signal;

/** One round of a fresh updater; gives the codes of what went wrong. */
async function round(stage: Stage, reach = outside(stage)): Promise<string[]> {
  const installer = await open(stage, reach);
  return (await installer.round(never)).map((error) => error.code);
}

/** A round that is killed; true if it was over before. */
async function killedRound(stage: Stage, step: number): Promise<boolean> {
  const fuse = killing();
  fuse.light(step);
  try {
    await round(stage, guardAll(fuse, outside(stage)));
    return true;
  } catch (error) {
    if (error instanceof Killed) return false;
    throw error;
  }
}

/** `current` is missing or leads to a release that is whole. */
async function assertCurrentIsWhole(stage: Stage): Promise<void> {
  const target = await nodeFs.readlink(path.join(stage.root, "current")).catch(() => undefined);
  if (target === undefined) return;
  assert.ok(await new Machine(stage.root).findRelease(path.basename(target)), "current leads to a release");
}

async function readState(stage: Stage): Promise<UpdaterState> {
  return decodeState(await nodeFs.readFile(path.join(stage.root, "state", "updater.json")));
}

const A: Offer = { sequence: 1, relay: "A" };

/** Runs a story for a fuse of one step, of two, and so on, until one does not blow; some at a time, as disks are slow. */
async function atEachStep(story: (step: number) => Promise<{ readonly blown: boolean }>): Promise<void> {
  const atOnce = 8;
  let first = 1;
  for (let blown = true; blown; first += atOnce) {
    const outcomes = await Promise.all(Array.from({ length: atOnce }, (_, index) => story(first + index)));
    blown = outcomes.every((outcome) => outcome.blown);
  }
  assert.ok(first > 20, "there are many steps at which to fail");
}

/** Kills an updater at its first step, another at its second, and so on, until one gets to the end. */
async function killAtEachStep(
  t: TestContext,
  prepare: (stage: Stage) => Promise<void>,
  check: (stage: Stage) => Promise<void>,
): Promise<void> {
  await atEachStep(async (step) => {
    const stage = await openStage(t);
    await prepare(stage);
    const over = await killedRound(stage, step);
    await assertCurrentIsWhole(stage);
    // Every other time the whole machine went down, and the relay with it.
    if (step % 2 === 0) await stage.service.stop();
    await check(stage);
    return { blown: !over };
  });
}

test("a first installation that is killed at any step is completed by the next start", async (t) => {
  await killAtEachStep(
    t,
    (stage) => stage.publish(A),
    async (stage) => {
      assert.deepEqual(await round(stage), []);
      assert.equal(await stage.service.runningCode(), "A");
      assert.equal(await stage.current(), "A");
    },
  );
});

test("an upgrade that is killed at any step is completed by the next start, and not undone by an old manifest", async (t) => {
  await killAtEachStep(
    t,
    async (stage) => {
      await stage.publish(A);
      await round(stage);
      await stage.publish({ sequence: 2, relay: "B" });
    },
    async (stage) => {
      assert.deepEqual(await round(stage), []);
      assert.equal(await stage.service.runningCode(), "B");
      assert.equal(await stage.current(), "B");
      await stage.publish(A);
      assert.deepEqual(await round(stage), ["manifest-replayed"]);
      assert.equal(await stage.service.runningCode(), "B");
    },
  );
});

test("another list that is put in force and killed at any step is in force after the next start, for the same process", async (t) => {
  await killAtEachStep(
    t,
    async (stage) => {
      await stage.publish({ ...A, allow: "one" });
      await round(stage);
      await stage.publish({ ...A, sequence: 2, allow: "two" });
    },
    async (stage) => {
      assert.match(await stage.currentList(), /^(?:one|two)$/);
      assert.deepEqual(await round(stage), []);
      assert.equal(await stage.currentList(), "two");
      const { good, accepted, trial } = await readState(stage);
      assert.deepEqual([good, accepted?.sequence, trial], [stage.service.running?.digest, 2, undefined]);
      const wasDown = stage.service.calls.includes("stop");
      const starts = stage.service.calls.filter((call) => call === "start A");
      assert.equal(starts.length, wasDown ? 2 : 1);
    },
  );
});

test("an upgrade to a bad release that is killed at any step ends with the old one running", async (t) => {
  await killAtEachStep(
    t,
    async (stage) => {
      await stage.publish(A);
      await round(stage);
      await stage.publish({ sequence: 2, relay: "sick B" });
    },
    async (stage) => {
      assert.match((await round(stage)).join(), /^(relay-exited|release-failed)$/);
      assert.equal(await stage.service.runningCode(), "A");
      assert.equal(await stage.current(), "A");
      assert.deepEqual(await round(stage), ["release-failed"]);
    },
  );
});

test("a release that takes the updater down with it is given up after three attempts", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  await round(stage);
  await stage.publish({ sequence: 2, relay: "B" });
  const deadly: Service = { ...methodsOf(stage.service), start: () => Promise.reject(new Killed()) };
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await assert.rejects(round(stage, { ...outside(stage), service: deadly }), Killed);
  }
  assert.deepEqual(await round(stage), ["release-failed"]);
  assert.equal(await stage.service.runningCode(), "A");
  await stage.publish({ sequence: 3, relay: "C" });
  assert.deepEqual(await round(stage), []);
  assert.equal(await stage.service.runningCode(), "C");
});

/** The methods of a service, as a plain object. */
function methodsOf(service: Service): Service {
  return {
    start: (release) => service.start(release),
    healthy: (release, signal) => service.healthy(release, signal),
    stop: () => service.stop(),
  };
}

test("a disk that is full at any step leaves a relay running, and the next poll completes the upgrade", async (t) => {
  await atEachStep(async (step) => {
    const stage = await openStage(t);
    await stage.publish(A);
    await round(stage);
    await stage.publish({ sequence: 2, relay: "B" });
    const fuse = fullDisk();
    const installer = await open(stage, { ...outside(stage), fs: fuse.guard({ ...nodeFs }) });
    fuse.light(step);
    const reasons = await installer.round(never);
    const { blown } = fuse;
    assert.ok(reasons.every((error) => error.code === "file-unreadable"));
    assert.match((await stage.service.runningCode()) ?? "nothing", /^[AB]$/);
    await assertCurrentIsWhole(stage);
    assert.deepEqual(await installer.round(never), []);
    assert.equal(await stage.service.runningCode(), "B");
    return { blown };
  });
});

test("whatever is published and whenever it is killed, no bad and no old release runs in the end", async (t) => {
  const actions = fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant("publish" as const),
        sick: fc.boolean(),
        relay: fc.constantFrom("A", "B", "C"),
      }),
      fc.record({ kind: fc.constant("replay" as const) }),
      fc.record({ kind: fc.constant("kill" as const), step: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ kind: fc.constant("poll" as const) }),
    ),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(actions, async (list) => {
      const stage = await openStage(t);
      let newest: Offer = A;
      await stage.publish(newest);
      await round(stage);
      for (const action of list) {
        const accepted = (await readState(stage)).accepted?.sequence ?? 0;
        if (action.kind === "publish") {
          newest = {
            sequence: newest.sequence + 1,
            relay: action.sick ? `sick ${action.relay}` : action.relay,
          };
          await stage.publish(newest);
        } else if (action.kind === "replay")
          await stage.publish({ sequence: accepted - 1 || 1, relay: "old" });
        else if (action.kind === "kill") await killedRound(stage, action.step);
        else {
          await round(stage);
          assert.doesNotMatch((await stage.service.runningCode()) ?? "nothing", /sick|old|nothing/);
        }
        await assertCurrentIsWhole(stage);
        assert.ok(((await readState(stage)).accepted?.sequence ?? 0) >= accepted, "the sequence only rises");
      }
      newest = { sequence: newest.sequence + 1, relay: "last" };
      await stage.publish(newest);
      assert.deepEqual(await round(stage), []);
      assert.equal(await stage.service.runningCode(), "last");
    }),
    { numRuns: 15 },
  );
});
