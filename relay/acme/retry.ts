/** Which requests are sent again at once, and after what pause. */
import type { AcmeFailure } from "./failure.ts";

/** An answer that was none, or was no good one. */
export interface Refusal {
  readonly failure: AcmeFailure;
  /** Of the HTTP answer; undefined if none came. */
  readonly status: number | undefined;
  /** The same request would meet the same: a certificate that is not trusted, for example. */
  readonly lasting?: boolean;
}

const backOffMs = [250, 1_000, 4_000];
/** A longer wait is for whoever plans the next order. */
const longestPauseMs = 30_000;

/**
 * @param retries how often the request has been sent again so far
 * @param repeatable whether a second one does no harm if the first was heard after all
 * @returns milliseconds; undefined if it is not sent again
 */
export function pauseBefore(retries: number, refusal: Refusal, repeatable: boolean): number | undefined {
  const { failure, status, lasting = false } = refusal;
  const backOff = backOffMs[retries];
  if (backOff === undefined || lasting) return undefined;
  const { retryAfterMs } = failure;
  if (retryAfterMs !== undefined && retryAfterMs > longestPauseMs) return undefined;
  // Both say that the request was not looked at, so any may be sent again.
  if ((status === 429 || status === 503) && retryAfterMs !== undefined)
    return Math.max(retryAfterMs, backOff);
  const mayPass = status === undefined || status >= 500;
  return repeatable && mayPass ? backOff : undefined;
}
