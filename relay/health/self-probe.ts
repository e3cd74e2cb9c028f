/** Has the relay's probes ask, every few seconds, for as long as it runs. */
import timers from "node:timers/promises";
import { describeError } from "../client/dial.ts";
import type { HealthState } from "./health-state.ts";
import type { Probe } from "./probes.ts";

export interface SelfProbeOptions {
  readonly probes: readonly Probe[];
  /** Is told what comes of them. */
  readonly health: HealthState;
  readonly log: (line: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** From the start of one round to that of the next. */
  readonly everyMs?: number | undefined;
}

/** The part of that time after which a try is given up. */
const limitShare = 0.8;

/**
 * Starts. All probes of a round ask at once, and the next round begins when the last has ended: each probe has one try
 * under way, however long the process stood still. After a round that had to be given up the next one begins at once:
 * if each turn of the event loop takes seconds, three failures would otherwise be too far apart to be seen.
 */
export function startSelfProbe(options: SelfProbeOptions): AsyncDisposable {
  const stopping = new AbortController();
  const running = keepProbing(options, stopping.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function keepProbing(options: SelfProbeOptions, stopped: AbortSignal): Promise<void> {
  const { now, everyMs = 5_000 } = options;
  while (!stopped.aborted) {
    const next = now() + everyMs;
    if (await probeOnce(options, everyMs * limitShare, stopped)) continue;
    const rest = Math.max(0, next - now());
    await timers.setTimeout(rest, undefined, { signal: stopped, ref: false }).catch(() => {});
  }
}

/** One round. What a probe says after the stop is about the stop. @returns true if it had to be given up */
async function probeOnce(
  { probes, health, log, now }: SelfProbeOptions,
  limitMs: number,
  stopped: AbortSignal,
): Promise<boolean> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const limit = setTimeout(end, limitMs).unref();
  stopped.addEventListener("abort", end);
  try {
    await Promise.all(
      probes.map(async (probe) => {
        const fault = await probe.run(ending.signal).then(() => undefined, describeError);
        const news = stopped.aborted ? undefined : health.note(probe.name, fault, now());
        if (news !== undefined) log(news);
      }),
    );
    return ending.signal.aborted;
  } finally {
    clearTimeout(limit);
    stopped.removeEventListener("abort", end);
  }
}
