/**
 * How long to wait after failures. Pure.
 *
 * | failures in a row | wait |
 * |---|---|
 * | 1 | 1 min |
 * | 2 | 2 min |
 * | 3 | 5 min |
 * | 4 | 10 min |
 * | 5 | 20 min |
 * | 6 | 30 min |
 * | 7 | 1 h |
 * | 8 | 2 h |
 * | 9 | 4 h |
 * | 10 and more | 6 h |
 *
 * - Each wait is made up to 20 % shorter or longer at random, once: the time of the next attempt is kept on the disk, and
 *   a restart neither shortens nor lengthens it.
 * - After a failure that only a person can mend (a refused name, CAA, the account, the profile) it is at least 1 h.
 * - It is at least as long as the CA asks for, for up to 30 days; what asks for more is taken for a mistake.
 * - Where such a lower bound decides, up to 20 % are added to it at random, so that not all relays come back at once.
 * - That a certificate is about to end shortens nothing: the CA's limits would then be met at the worst time.
 */
const minute = 60_000;
const hour = 60 * minute;

export const ladderMs: readonly number[] = [
  1 * minute,
  2 * minute,
  5 * minute,
  10 * minute,
  20 * minute,
  30 * minute,
  1 * hour,
  2 * hour,
  4 * hour,
  6 * hour,
];

/** What only a person can mend is not tried again earlier. */
export const personMs = hour;
export const longestRetryAfterMs = 30 * 24 * hour;
const jitter = 0.2;

export interface LadderStep {
  /** Failures in a row, this one included: 1 or more. */
  readonly failures: number;
  /** True if only a person can mend it. */
  readonly person?: boolean;
  /** What the CA asks for, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * How long to wait after a failure, in milliseconds.
 *
 * @param random from 0 to 1; drawn once for each failure
 */
export function waitAfter({ failures, person = false, retryAfterMs }: LadderStep, random: number): number {
  const rung = Math.min(Math.max(Math.trunc(failures), 1), ladderMs.length) - 1;
  const wait = (ladderMs[rung] ?? hour) * (1 - jitter + 2 * jitter * random);
  const asked = Math.min(Math.max(retryAfterMs ?? 0, 0) || 0, longestRetryAfterMs);
  const bound = Math.max(asked, person ? personMs : 0) * (1 + jitter * random);
  return Math.round(Math.max(wait, bound));
}
