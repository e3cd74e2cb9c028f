/** When a CA wants to be asked again. */

/** No rate limit of a public CA is longer; what says more is a mistake. */
const longestMs = 7 * 86_400_000;

/**
 * Reads a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3).
 *
 * @param now unix milliseconds
 * @returns milliseconds from now, at most seven days; undefined if there is none that can be read
 */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return limit(Number(text) * 1_000);
  const isDate = /^[A-Z][a-z]+,? .* GMT$/.test(text);
  return isDate ? fromNow(Date.parse(text), now) : undefined;
}

/**
 * Finds the time in a sentence such as Let's Encrypt's `too many certificates already issued, retry after 2026-01-02
 * 03:04:05 UTC: see https://…`.
 */
export function findRetryAfter(detail: string, now: number): number | undefined {
  const found = /retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d) ?(?:UTC|Z)/i.exec(detail);
  return found === null ? undefined : fromNow(Date.parse(`${found[1]}T${found[2]}Z`), now);
}

function fromNow(time: number, now: number): number | undefined {
  return Number.isNaN(time) ? undefined : limit(time - now);
}

function limit(ms: number): number {
  return Math.min(Math.max(ms, 0), longestMs);
}
