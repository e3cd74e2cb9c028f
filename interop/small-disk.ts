/** A small disk of its own for a test, which can fill up or take no more. It is a mount of Linux and needs root. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import { eventually } from "./eventually.ts";

export interface SmallDisk {
  readonly folder: string;
  /** Writes until there is no room for anything more. */
  fill(): Promise<void>;
  /** From now on nothing can be written. It waits until no file is open for that. */
  makeReadOnly(): Promise<void>;
}

/** Why there can be no such disk on this machine; false if there can. */
export const whyNoSmallDisk = tellWhyNot();

/** Makes one, empty, of 256 KiB. It is gone after the test. */
export function mountSmallDisk(t: TestContext): SmallDisk {
  const folder = mkdtempSync(path.join(tmpdir(), "derpkit-disk-"));
  t.after(() => {
    // Lazily: a relay that is still running may have a file open.
    spawnSync("umount", ["--lazy", folder]);
    rmSync(folder, { recursive: true });
  });
  run("mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", folder);
  return {
    folder,
    fill: async () => fill(path.join(folder, "filler")),
    makeReadOnly: () =>
      eventually(`${folder} is read-only`, () => tryTo("mount", "-o", "remount,ro", folder) === undefined),
  };
}

function fill(file: string): void {
  const descriptor = openSync(file, "a");
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(4_096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(descriptor);
  }
}

function run(program: string, ...args: readonly string[]): void {
  const fault = tryTo(program, ...args);
  if (fault !== undefined) throw new Error(`${program} ${args.join(" ")}: ${fault}`);
}

/** @returns what a program says if it fails */
function tryTo(program: string, ...args: readonly string[]): string | undefined {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return status === 0 ? undefined : stderr;
}

function tellWhyNot(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "a small disk takes root on Linux";
  const tried = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]);
  return tried.status === 0 ? false : "nothing can be mounted here";
}
