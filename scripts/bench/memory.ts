/** A process' resident memory, as Linux tells it. */
import { readFile } from "node:fs/promises";
import timers from "node:timers/promises";
import { RunFailed } from "./derpbench.ts";

const sampleEveryMs = 200;

/** @returns MiB @throws RunFailed if there is no such process */
export async function residentMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kibibytes === undefined) throw new RunFailed("the relay has ended");
  return Number(kibibytes) / 1_024;
}

/** Watches a process' memory from now until the work is done. @returns with the most that it took, in MiB */
export async function watchMemory<T>(
  pid: number,
  work: Promise<T>,
): Promise<{ readonly result: T; readonly peak: number }> {
  const stop = new AbortController();
  const watching = sample(pid, stop.signal);
  try {
    const result = await work;
    stop.abort();
    return { result, peak: await watching };
  } catch (error) {
    stop.abort();
    await watching.catch(() => {}); // A relay that has ended explains the work's failure, not the other way round.
    throw error;
  }
}

async function sample(pid: number, signal: AbortSignal): Promise<number> {
  let most = 0;
  while (!signal.aborted) {
    most = Math.max(most, await residentMemory(pid));
    await timers.setTimeout(sampleEveryMs, undefined, { signal }).catch(() => {});
  }
  return Math.max(most, await residentMemory(pid));
}
