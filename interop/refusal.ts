/** When a relay's clients begin to look for another: not before a TCP connection to it is refused. */
import timers from "node:timers/promises";
import { dial, type Endpoint } from "../relay/client/dial.ts";

const everyMs = 50;
const connectMs = 2_000;

/**
 * Connects again and again until that is refused.
 *
 * @returns when it was, as `performance.now()`
 * @throws Error if the signal aborts first
 */
export async function becomesRefused(endpoint: Endpoint, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    try {
      (await dial(endpoint, AbortSignal.timeout(connectMs))).destroy();
    } catch (error) {
      if (isRefusal(error)) return performance.now();
    }
    await timers.setTimeout(everyMs);
  }
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
}
