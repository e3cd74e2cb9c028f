/** Waiting for what other processes do in their own time. */
import timers from "node:timers/promises";

const pollMs = 250;
/** Whoever waits longer waits for something that does not come. */
const patienceMs = 240_000;

/**
 * Looks again and again until something is so.
 *
 * @param what as a sentence, which may say what was seen last
 * @throws Error if it does not become so
 */
export async function eventually(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const giveUp = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > giveUp) {
      throw new Error(`waited in vain until ${typeof what === "string" ? what : what()}`);
    }
    await timers.setTimeout(pollMs);
  }
}
