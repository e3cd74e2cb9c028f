/** Puts a release's settings of the system where the system reads them. */
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { isErrno, writeWhole } from "../config/files.ts";

/** Each file's place, and what has to be told that it is another. */
const places = {
  "sysctl.conf": { file: "sysctl.d/60-derpkit.conf", apply: ["sysctl", "--quiet", "--system"] },
  "journald.conf": {
    file: "systemd/journald.conf.d/60-derpkit.conf",
    apply: ["systemctl", "restart", "systemd-journald.service"],
  },
  "apt.conf": { file: "apt/apt.conf.d/60-derpkit", apply: [] },
} as const;

/**
 * Makes the system's settings those of a release. What is equal is not touched; a release that lacks a file takes it away.
 *
 * @param from folder of the release's files for this node
 * @param etc the system's own folder
 * @returns programs to be run, each with its arguments
 */
export async function installSystemFiles(from: string, etc: string): Promise<(readonly string[])[]> {
  const due: (readonly string[])[] = [];
  for (const [name, { file, apply }] of Object.entries(places)) {
    const place = path.join(etc, file);
    const [wanted, present] = [await readIfThere(path.join(from, name)), await readIfThere(place)];
    if (wanted === undefined && present === undefined) continue;
    if (wanted !== undefined && present !== undefined && wanted.equals(present)) continue;
    if (wanted === undefined) await rm(place);
    else await writeWhole(place, wanted, 0o644);
    if (apply.length > 0) due.push(apply);
  }
  return due;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
