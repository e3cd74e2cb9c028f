/** The file in which the node's updater says how it does. */
import { readFileSync, statSync } from "node:fs";
import { parseUpdaterStatus, type UpdaterStatus } from "./updater-status.ts";

/** Gives what the updater says; undefined if it says nothing that can be read. */
export type ReadUpdater = () => UpdaterStatus | undefined;

/** However often strangers ask, the file is read so often at most. */
const freshMs = 1_000;
/** What is longer is no status, and no reason to stop for. */
const maxBytes = 65_536;

/**
 * Makes what reads the file when it is asked, and not otherwise.
 *
 * @param file absolute path
 * @param now milliseconds on a clock that never goes back
 */
export function createUpdaterFile(file: string, now: () => number): ReadUpdater {
  let known: { readonly status: UpdaterStatus | undefined; readonly until: number } | undefined;
  return () => {
    const time = now();
    if (known === undefined || time >= known.until)
      known = { status: readStatus(file), until: time + freshMs };
    return known.status;
  };
}

function readStatus(file: string): UpdaterStatus | undefined {
  try {
    const found = statSync(file);
    return found.isFile() && found.size <= maxBytes
      ? parseUpdaterStatus(readFileSync(file, "utf8"))
      : undefined;
  } catch {
    return undefined;
  }
}
