/** Waiting for a region, and telling of it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Output, Step } from "../cli/output.ts";

/** What one look at the region gives: what was waited for, or what is still missing, as a clause. */
export type Look<Found> =
  | { readonly found: Found }
  | {
      readonly missing: string;
      /** What the last look has to tell, if the time is over. */
      readonly rest: Found;
    };

export interface Patience {
  readonly withinMs: number;
  readonly out: Output;
  readonly step: Step;
  readonly signal: AbortSignal;
}

const againAfterMs = 5_000;
/** A line on what is still missing, so that a long wait is seen to be one. */
const tellEveryMs = 30_000;

/** Looks again and again. @returns what the last look gave, and whether it was what was waited for */
export async function waitFor<Found>(
  look: () => Promise<Look<Found>>,
  { withinMs, out, step, signal }: Patience,
): Promise<{ readonly ok: boolean; readonly found: Found }> {
  const started = performance.now();
  for (let told = Number.NEGATIVE_INFINITY; ;) {
    const seen = await look();
    signal.throwIfAborted();
    if ("found" in seen) return { ok: true, found: seen.found };
    const passed = performance.now() - started;
    if (passed + againAfterMs > withinMs) {
      step.fail(`not ready within ${withinMs / 1_000} s`);
      return { ok: false, found: seen.rest };
    }
    step.update(seen.missing);
    if (passed - told >= tellEveryMs) {
      out.note(seen.missing);
      told = passed;
    }
    await pause(signal);
  }
}

/** @throws the signal's own reason, by which a command that was stopped is known */
async function pause(signal: AbortSignal): Promise<void> {
  try {
    await sleep(againAfterMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
