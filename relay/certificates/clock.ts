/** The time, as whoever keeps certificates knows it; a test has one of its own. */
import timers from "node:timers/promises";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** @throws the signal's reason when it is aborted */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** This machine's. What waits on it keeps no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    await timers.setTimeout(ms, undefined, { signal, ref: false }).catch(() => signal.throwIfAborted());
  },
};
