/**
 * A lock that one of several processes holds, on this machine or on others that share the folder. Node has no flock.
 *
 * The lock is a folder of small files, named by rising numbers: its generations. **The highest one is the lock**, and who made
 * it holds it, until the file says `free`. Its holder rewrites it every 5 s, a beat. To take the lock is to make the next
 * file, which must not be there yet (O_EXCL), and that is done only by who has seen that the highest one is
 *
 * - free, or
 * - held by a process that is known to have ended (Linux, same machine), or
 * - without a beat for 30 s, by the times that the file system gives to this file and to one that we have just written,
 *   and without one for 15 s more while we look. (A clock that is set makes the first seem true of a lock that is held.)
 *
 * Why at most one holds it:
 * - Of several that take over the same generation, one alone makes the next file.
 * - Nothing that somebody holds is removed or overwritten by anybody else. A holder only removes generations far below its
 *   own, so that who was slow to take over an old one finds the number taken; and should it be gone, sees the higher ones
 *   when it looks again after making its file, and gives up.
 * - Who takes over from one without beats looks at it once more after making the next file. A holder that wakes up beats
 *   first and looks for a next file then. So one of the two sees the other, and gives way.
 *
 * What a lock of this kind cannot do: keep a holder from acting that sleeps after it has looked. So it is to look
 * (`stillHeld`) right before each thing that must not happen twice.
 */
import { randomUUID } from "node:crypto";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { isErrno, makeFolder } from "../config/files.ts";
import { KitError } from "../errors.ts";
import { isKnownDead, type ProcessIdentity, readOwnIdentity } from "./process-identity.ts";

export interface LockClock {
  /** Resolves after so many milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface Lock extends AsyncDisposable {
  /**
   * Beats, and looks. False if somebody else took the lock, or removed its files, and after the release; then it stays so.
   * False, too, while that cannot be known, as the files cannot be read and written. To be asked right before an order is
   * spent and before files are written.
   */
  stillHeld(): Promise<boolean>;
}

export const beatEveryMs = 5_000;
export const staleAfterMs = 30_000;
/** How long a holder without beats is watched before the lock is taken from it. */
export const watchMs = 15_000;
/** How often to look whether a lock is free. */
const lookEveryMs = 1_000;
/** Generations that are kept below the holder's own. */
const kept = 4;

/**
 * Takes a lock, as soon as it is free.
 *
 * @param folder what stands for the lock; it is made if it is not there
 * @param signal ends the wait
 * @throws KitError `certificate-store` if the files cannot be written or read, for want of room for example; the signal's
 *   reason
 */
export async function acquire(
  folder: string,
  signal: AbortSignal,
  clock: LockClock,
  own: ProcessIdentity | undefined = readOwnIdentity(),
): Promise<Lock> {
  const generations = new Generations(folder);
  return orStoreError(folder, async () => {
    for (;;) {
      signal.throwIfAborted();
      await makeFolder(folder, 0o700);
      const made = await tryToTake(generations, signal, clock, own);
      if (made !== undefined) return hold(generations, made, clock);
      await clock.sleep(lookEveryMs, signal);
    }
  });
}

/** A generation that we have made. */
interface Made {
  readonly number: number;
  readonly token: string;
}

/** What the file of a generation said when we looked; equal texts and times are the same beat of the same holder. */
interface Look {
  readonly text: string;
  readonly modified: number;
}

interface Header {
  readonly token: string;
  readonly process?: ProcessIdentity | undefined;
}

async function tryToTake(
  generations: Generations,
  signal: AbortSignal,
  clock: LockClock,
  own: ProcessIdentity | undefined,
): Promise<Made | undefined> {
  const highest = await generations.highest();
  const seen = await generations.look(highest);
  if (highest > 0 && seen === undefined) return undefined; // It went while we looked; look again.
  if (seen !== undefined && !isFree(seen) && !isOfDead(seen, own)) {
    if (!(await generations.isWithoutBeat(seen))) return undefined;
    await clock.sleep(watchMs, signal);
    if (!isSame(seen, await generations.look(highest))) return undefined;
  }
  const made = await generations.make(highest + 1, own);
  if (made === undefined) return undefined;
  // Looking twice: a file that comes while a folder is listed may be left out of that list.
  const isHighest =
    (await generations.highest()) === made.number && (await generations.highest()) === made.number;
  const isUnchanged = seen === undefined || isSame(seen, await generations.look(highest));
  if (isHighest && isUnchanged) return made;
  // A file that is free may be the highest; one that is removed may not.
  await generations.free(made);
  return undefined;
}

function isSame(one: Look, other: Look | undefined): boolean {
  return one.text === other?.text && one.modified === other.modified;
}

function hold(generations: Generations, made: Made, clock: LockClock): Lock {
  const released = new AbortController();
  let lost = false;
  const beating = keepBeating();

  async function keepBeating(): Promise<void> {
    await orFalse(() => generations.removeBelow(made.number - kept));
    while (!lost && !released.signal.aborted) {
      try {
        await clock.sleep(beatEveryMs, released.signal);
      } catch {
        return;
      }
      await beat();
    }
  }

  /** One that fails, as on a disk that is full for a moment, does not lose the lock. */
  function beat(): Promise<boolean> {
    return orFalse(async () => {
      lost ||= !(await generations.beat(made));
      return !lost;
    });
  }

  return {
    stillHeld: () =>
      orFalse(async () => {
        // In this order: see the top of the file.
        if (lost || released.signal.aborted || !(await beat())) return false;
        lost ||= (await generations.highest()) !== made.number;
        return !lost && !released.signal.aborted;
      }),
    async [Symbol.asyncDispose]() {
      released.abort();
      await beating;
      // If it cannot be said, the others find no beats, or no process.
      await orFalse(() => generations.free(made));
    },
  };
}

/** The files. All but `beat` and `free` leave alone what others made. */
class Generations {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The number of the highest generation; 0 if there is none. */
  async highest(): Promise<number> {
    return Math.max(0, ...(await readdir(this.#folder)).filter(isGeneration).map(Number));
  }

  /** Undefined if there is no such generation. */
  async look(number: number): Promise<Look | undefined> {
    try {
      // A network file system looks at its server's file anew when it is opened.
      await using file = await open(this.#path(number), "r");
      const { mtimeMs } = await file.stat();
      return { text: await file.readFile("utf8"), modified: mtimeMs };
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /** Whether a holder's last beat is long ago, or in the future, for a clock that was set back. */
  async isWithoutBeat({ modified }: Look): Promise<boolean> {
    const probe = join(this.#folder, `${probePrefix}${randomUUID()}`);
    try {
      await using file = await open(probe, "wx", 0o600);
      await file.writeFile("?");
      await file.sync();
      const { mtimeMs } = await file.stat();
      return Math.abs(mtimeMs - modified) > staleAfterMs;
    } finally {
      await rm(probe, { force: true });
    }
  }

  /** Makes a generation that is held; undefined if it is there. */
  async make(number: number, own: ProcessIdentity | undefined): Promise<Made | undefined> {
    const path = this.#path(number);
    const made = { number, token: randomUUID() };
    const header: Header = { token: made.token, process: own };
    try {
      await using file = await open(path, "wx", 0o600);
      try {
        await file.writeFile(`held\n${renderBeats(0)}\n${JSON.stringify(header)}\n`);
        await file.sync();
      } catch (error) {
        // Nobody has held it yet.
        await rm(path, { force: true });
        throw error;
      }
    } catch (error) {
      if (isErrno(error, "EEXIST")) return undefined;
      throw error;
    }
    return made;
  }

  /** False if the file is gone, or not the one that we made. */
  async beat(made: Made): Promise<boolean> {
    return this.#rewrite(made, (text) => {
      const beats = Number(text.slice(beatsOffset, beatsOffset + beatsLength)) + 1;
      return { text: renderBeats(beats), offset: beatsOffset };
    });
  }

  async free(made: Made): Promise<boolean> {
    return this.#rewrite(made, () => ({ text: "free", offset: 0 }));
  }

  /** Removes what nobody can hold any more, and what those left who were killed while they looked. */
  async removeBelow(number: number): Promise<true> {
    for (const name of await readdir(this.#folder)) {
      const isOld = isGeneration(name) && Number(name) < number;
      if (isOld || name.startsWith(probePrefix)) await rm(join(this.#folder, name), { force: true });
    }
    return true;
  }

  /** In place, so that a lock that is held needs no room on the disk. */
  async #rewrite(
    { number, token }: Made,
    change: (text: string) => { readonly text: string; readonly offset: number },
  ): Promise<boolean> {
    try {
      await using file = await open(this.#path(number), "r+");
      const text = await file.readFile("utf8");
      if (parseHeader(text)?.token !== token) return false;
      const { text: part, offset } = change(text);
      await file.write(part, offset);
      return true;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
  }

  #path(number: number): string {
    return join(this.#folder, `${number}`);
  }
}

/**
 * The text of a generation's file: `held` or `free`, the number of beats in twelve digits, and who made it, a line each. A
 * file of a process that ended while it made it may hold less.
 */
const headerSchema = v.object({
  token: v.string(),
  process: v.optional(
    v.object({ boot: v.string(), namespaces: v.string(), pid: v.number(), started: v.string() }),
  ),
});
const beatsOffset = "held\n".length;
const beatsLength = 12;
const probePrefix = "probe-";

function renderBeats(beats: number): string {
  return `${beats}`.padStart(beatsLength, "0");
}

function isGeneration(name: string): boolean {
  return /^[1-9]\d{0,14}$/.test(name);
}

function isFree({ text }: Look): boolean {
  return text.startsWith("free\n");
}

function isOfDead({ text }: Look, own: ProcessIdentity | undefined): boolean {
  const holder = parseHeader(text)?.process;
  return holder !== undefined && isKnownDead(holder, own);
}

function parseHeader(text: string): Header | undefined {
  try {
    const { success, output } = v.safeParse(headerSchema, JSON.parse(text.split("\n")[2] ?? ""));
    return success ? output : undefined;
  } catch {
    return undefined;
  }
}

async function orFalse(action: () => Promise<boolean>): Promise<boolean> {
  try {
    return await action();
  } catch (error) {
    if (isErrno(error)) return false;
    throw error;
  }
}

async function orStoreError<T>(where: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (!isErrno(cause)) throw cause;
    const message = "The lock of a certificate cannot be taken, so none is ordered.";
    throw new KitError("certificate-store", { where, message, cause });
  }
}
