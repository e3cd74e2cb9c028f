/** A piece of work and its line of progress, which ends as the work does. */
import type { Output } from "./output.ts";

/**
 * Does work under a step.
 *
 * @param summary the step's last text, from what the work gave
 */
export async function withStep<T>(
  out: Output,
  text: string,
  work: () => Promise<T>,
  summary: (result: T) => string = () => text,
): Promise<T> {
  const step = out.step(text);
  try {
    const result = await work();
    step.done(summary(result));
    return result;
  } catch (error) {
    step.fail();
    throw error;
  }
}
