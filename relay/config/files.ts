/** Small files, read and written whole. */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { KitError } from "../errors.ts";

/** True for the failure of a system call, and of that kind if a code such as ENOENT is given. */
export function isErrno(error: unknown, code?: string): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    "syscall" in error &&
    "code" in error &&
    (code === undefined || error.code === code)
  );
}

/**
 * Reads a text file.
 *
 * @param message what failed, a full sentence; the error table's if it is left out
 * @throws KitError `file-unreadable`
 */
export async function readText(file: string, message?: string): Promise<string> {
  return orUnreadable(file, message, () => readFile(file, "utf8"));
}

/**
 * Reads a text file; undefined if there is none.
 *
 * @throws KitError `file-unreadable`
 */
export async function readIfThere(file: string, message?: string): Promise<string | undefined> {
  try {
    return await readText(file, message);
  } catch (error) {
    if (error instanceof KitError && isErrno(error.cause, "ENOENT")) return undefined;
    throw error;
  }
}

/** Whether a file is missing, or has nothing but white space. @throws KitError `file-unreadable` */
export async function isBlank(file: string): Promise<boolean> {
  return ((await readIfThere(file)) ?? "").trim() === "";
}

/**
 * Reads a text file, or makes it, with its folders and for its owner's eyes only, if there is none.
 *
 * The file appears whole or not at all. Of two programs that get here at once, the first one's text is what both get.
 *
 * @param make what a new file is to hold
 * @throws KitError `file-unreadable` if it cannot be read or made
 */
export async function readOrMake(file: string, make: () => string, message?: string): Promise<string> {
  const existing = await readIfThere(file, message);
  if (existing !== undefined) return existing;
  const text = make();
  await orUnreadable(file, message, () => makeOnce(file, text));
  return readText(file, message);
}

/**
 * Writes a file and its folders so that a reader, also one after a crash, sees all of the old content or all of the new.
 *
 * @throws the system's own error
 */
export async function writeWhole(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  await makeFolder(dirname(file));
  const draft = `${file}.new`;
  await rm(draft, { force: true });
  await writeDurably(draft, content, mode);
  await rename(draft, file);
}

/**
 * The same for a file that somebody names.
 *
 * @throws KitError `file-unreadable` for what the system refuses
 */
export async function writeNamed(file: string, text: string, mode = 0o644): Promise<void> {
  try {
    await writeWhole(file, text, mode);
  } catch (cause) {
    throw isErrno(cause) ? new KitError("file-unreadable", { where: file, cause }) : cause;
  }
}

/**
 * Makes a folder and those above it, unless they are there.
 *
 * @throws the system's own error: of a file system that is read-only Node says "no such file" when it makes several at once
 */
export async function makeFolder(folder: string, mode?: number, make = mkdir): Promise<void> {
  try {
    await make(folder, { recursive: true, mode });
  } catch (error) {
    if (!isErrno(error, "ENOENT") || error.path === undefined) throw error;
    await make(error.path, { mode });
    await make(folder, { recursive: true, mode });
  }
}

/** A link, other than a rename, never replaces what is there. */
async function makeOnce(file: string, text: string): Promise<void> {
  await makeFolder(dirname(file));
  const draft = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeDurably(draft, text, 0o600);
    await link(draft, file);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Only a file that it makes itself surely has the mode. */
async function writeDurably(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(content);
  await file.sync();
}

/** Not the system's own error, which does not always say which file it is about. */
async function orUnreadable<T>(
  where: string,
  message: string | undefined,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new KitError("file-unreadable", { where, cause, ...(message === undefined ? {} : { message }) });
  }
}
