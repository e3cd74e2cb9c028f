/** Puts a release's unit files where systemd reads them. */
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { writeWhole } from "../config/files.ts";

/** What has changed among the files. */
export interface UnitChanges {
  /** Names of units that are new or other than before. */
  readonly written: readonly string[];
  /** Names of units of ours that the release no longer has. */
  readonly removed: readonly string[];
}

/** Only such names are ours: others' units are left alone. */
const own = /^derpkit-[a-z-]+\.(?:service|socket|timer)$/;

/**
 * Makes the units in `to` those of `from`. What is equal is not touched, so that a second run changes nothing.
 *
 * @param from folder of the release's units for this node
 * @param to where systemd looks: /etc/systemd/system
 * @param keep units of ours that no release has: those of stage 0
 */
export async function installUnits(
  from: string,
  to: string,
  keep: ReadonlySet<string>,
): Promise<UnitChanges> {
  const wanted = (await readdir(from)).filter((name) => own.test(name)).toSorted();
  const present = (await readdir(to)).filter((name) => own.test(name) && !keep.has(name));
  const written: string[] = [];
  for (const name of wanted) {
    const bytes = await readFile(path.join(from, name));
    const file = path.join(to, name);
    if (present.includes(name) && bytes.equals(await readFile(file))) continue;
    await writeWhole(file, bytes, 0o644);
    written.push(name);
  }
  const removed = present.filter((name) => !wanted.includes(name)).toSorted();
  for (const name of removed) await rm(path.join(to, name));
  return { written, removed };
}
