/** Where bundles come from. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { KitError } from "../errors.ts";
import { isSystemError } from "./system-error.ts";

export interface FetchLimits {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Other places of the file, tried in order if the delivery lacks it. */
  readonly mirrors?: readonly string[] | undefined;
}

/** A delivery address of one region. Nothing that it gives is trusted. */
export interface Source {
  /**
   * Reads one file of the bundle.
   *
   * @param file a path of the manifest, or `manifest.json` or `manifest.sig`
   * @returns undefined if there is no such file; else its bytes, of which at most `maxBytes` + 1 are read: one too many
   *   tells the caller that the file is longer than it may be
   * @throws KitError `delivery-unreadable`, or the signal's reason
   */
  fetch(file: string, limits: FetchLimits): Promise<Uint8Array | undefined>;
}

/** A folder on this machine. */
export function folderSource(folder: string): Source {
  return {
    async fetch(file, { maxBytes, signal }) {
      const where = path.join(folder, file);
      try {
        // Opening a FIFO would wait for its writer without O_NONBLOCK; a link could lead to a device that never ends.
        const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
        await using handle = await open(where, flags);
        const stat = await handle.stat();
        if (stat.isFile()) return await readStart(handle, Math.min(stat.size, maxBytes) + 1, signal);
      } catch (cause) {
        if (!isSystemError(cause)) throw cause;
        if (cause.code === "ENOENT") return undefined;
        throw new KitError("delivery-unreadable", { where, cause });
      }
      throw new KitError("delivery-unreadable", { where, message: "What is delivered is not a file." });
    },
  };
}

/** The first `length` bytes of a file, or all if it has fewer; a file that grows meanwhile does not keep it busy. */
async function readStart(handle: FileHandle, length: number, signal: AbortSignal): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, filled, length - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
