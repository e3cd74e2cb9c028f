/**
 * Never more orders than the CA's limits allow. Pure.
 *
 * | limit | where | the CA's | ours |
 * |---|---|---|---|
 * | certificates for the same set of identifiers | Let's Encrypt | 5 in 7 days; renewals that name what they replace (ARI) do not count | 5 |
 * | failed validations of an identifier | everywhere | 5 in 1 h | 4 |
 * | new orders | everywhere | 300 in 3 h | 299 |
 *
 * The figures are Let's Encrypt's (https://letsencrypt.org/docs/rate-limits/); another CA's are not known, and what a
 * private one that issues for minutes needs stays far below them. Ours is one lower where to wait costs nobody anything:
 * an attempt that has just failed will hardly succeed at once, and what is left over is a person's who tries by hand.
 * The fifth certificate of a week is used: without it a relay whose folder was lost would have none for days.
 *
 * Let's Encrypt's buckets refill steadily, so that what fits into each window of time fits into them.
 */

const minute = 60_000;
const hour = 60 * minute;

/**
 * What became of an order. All count as orders.
 *
 * - `ordered`, `finalizing`: under way, or nobody knows; so it counts as a failed validation, or as a certificate.
 * - `issued`: a certificate was issued, or may have been;
 * - `invalid`: the CA did not see the proof;
 * - `ended`: neither.
 */
export const outcomes = ["ordered", "finalizing", "issued", "invalid", "ended"] as const;
export type Outcome = (typeof outcomes)[number];

export interface Attempt {
  /** When it ended; while it is under way, when it began. */
  readonly at: number;
  /** The URL of the CA's directory. */
  readonly directory: string;
  readonly outcome: Outcome;
  /** Whether the order named the certificate that it replaces. */
  readonly replaces: boolean;
}

/** An order that might be made. */
export interface PlannedOrder {
  readonly identifier: string;
  readonly directory: string;
  readonly replaces: boolean;
}

export interface Exhausted {
  /** When an order is possible again, as far as this limit is concerned. */
  readonly until: number;
  /** A clause for people. */
  readonly why: string;
}

interface Limit {
  readonly ours: number;
  readonly windowMs: number;
  counts(attempt: Attempt): boolean;
  /** Whether a planned order is bound by it. */
  binds(order: Pick<PlannedOrder, "directory" | "replaces">): boolean;
  explain(identifier: string): string;
}

const limits: readonly Limit[] = [
  {
    ours: 5,
    windowMs: 7 * 24 * hour,
    counts: ({ outcome, replaces }) => !replaces && (outcome === "issued" || outcome === "finalizing"),
    binds: ({ directory, replaces }) => !replaces && isLetsEncrypt(directory),
    explain: (identifier) =>
      `5 certificates for ${identifier} were issued in the last 7 days; the CA's limit`,
  },
  {
    ours: 4,
    windowMs: hour,
    counts: ({ outcome }) => outcome === "invalid" || outcome === "ordered",
    binds: () => true,
    explain: (identifier) => `4 validations of ${identifier} failed in the last hour; the CA's limit is 5`,
  },
  {
    ours: 299,
    windowMs: 3 * hour,
    counts: () => true,
    binds: () => true,
    explain: (identifier) =>
      `299 orders for ${identifier} were made in the last 3 hours; the CA's limit is 300`,
  },
];

/**
 * Finds the limit that keeps an order from being made; of several the one that does so longest.
 *
 * What lies in the future was noted before a clock was set back. It counts if it is within the window as seen from
 * there, too; else the clock was that wrong that nothing can be said of it.
 *
 * @returns undefined if it may be made now
 */
export function findExhausted(
  attempts: readonly Attempt[],
  order: PlannedOrder,
  now: number,
): Exhausted | undefined {
  const exhausted = limits
    .filter((limit) => limit.binds(order))
    .flatMap((limit) => {
      const counted = attempts
        .filter((attempt) => attempt.directory === order.directory && limit.counts(attempt))
        .map(({ at }) => at)
        .filter((at) => Math.abs(now - at) < limit.windowMs)
        .sort((one, other) => one - other);
      const oldest = counted.at(-limit.ours);
      return oldest === undefined
        ? []
        : [{ until: oldest + limit.windowMs, why: limit.explain(order.identifier) }];
    });
  return exhausted.sort((one, other) => other.until - one.until)[0];
}

/** Forgets what no limit of its CA looks at any more. */
export function forgetOld(attempts: readonly Attempt[], now: number): Attempt[] {
  return attempts.filter((attempt) =>
    limits.some(
      (limit) => limit.binds(attempt) && limit.counts(attempt) && now - attempt.at < limit.windowMs,
    ),
  );
}

function isLetsEncrypt(directory: string): boolean {
  return /^https:\/\/acme-v02\.api\.letsencrypt\.org(?::443)?\//i.test(directory);
}
