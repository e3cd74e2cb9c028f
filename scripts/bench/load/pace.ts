/** Does something so many times a second. What a late timer missed is made up for. */
import timers from "node:timers/promises";

const tickMs = 2;

/** @param act is told how often it was done before @param seconds for how long */
export async function pace(
  perSecond: number,
  seconds: number,
  act: (index: number) => void,
): Promise<number> {
  const begun = performance.now();
  let done = 0;
  for (;;) {
    const passed = Math.min((performance.now() - begun) / 1_000, seconds);
    while (done < passed * perSecond) act(done++);
    if (passed >= seconds) return done;
    await timers.setTimeout(tickMs);
  }
}
