/** Medians and percentiles of what was measured. Pure. */

/** @throws RangeError for no values */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError("nothing has no median");
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/**
 * The smallest value that so large a part of the values does not exceed.
 *
 * @param part above 0, up to 1
 * @throws RangeError for no values
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("nothing has no percentiles");
  return value;
}

/**
 * The largest part of the values that lies within a stretch of the given length, from 0 to 1: how crowded they are.
 *
 * @throws RangeError for no values
 */
export function crowding(values: readonly number[], length: number): number {
  if (values.length === 0) throw new RangeError("nothing is not crowded");
  const sorted = values.toSorted((one, other) => one - other);
  let first = 0;
  let most = 0;
  for (const [index, value] of sorted.entries()) {
    while (value - (sorted[first] as number) >= length) first++;
    most = Math.max(most, index - first + 1);
  }
  return most / sorted.length;
}

/**
 * Adds to waits that followed each other those that began while a long one lasted and were never asked for: at a pace of
 * 20 ms a wait of 50 ms stands for one of 30 and one of 10 as well.
 */
export function fillIn(waits: readonly number[], pace: number): number[] {
  return waits.flatMap((wait) => {
    const missed = Math.max(0, Math.ceil(wait / pace) - 1);
    return Array.from({ length: missed + 1 }, (_, index) => wait - index * pace);
  });
}
