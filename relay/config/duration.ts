/** Go's notation for durations, as derper's flags take it. */

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3, // U+00B5, micro sign
  μs: 1e-3, // U+03BC, Greek letter mu
  ns: 1e-6,
};

/** Go counts nanoseconds in 63 bits. */
const maxMs = 2 ** 63 / 1e6;

/**
 * Parses a duration such as `2s`, `1m30s`, `1.5h`, `-1s` or `0` (Go's `time.ParseDuration`).
 *
 * @returns milliseconds, or undefined if the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  const [, sign, amounts = ""] =
    /^([+-]?)(0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|µs|μs|ns|m|s))+)$/.exec(text) ?? [];
  if (sign === undefined) return undefined;
  let total = 0;
  for (const [, amount, unit] of amounts.matchAll(/([\d.]+)(h|ms|us|µs|μs|ns|m|s)/g)) {
    total += Number(amount) * (unitMs[unit ?? ""] ?? Number.NaN);
  }
  if (total > maxMs) return undefined;
  return sign === "-" ? 0 - total : total;
}
