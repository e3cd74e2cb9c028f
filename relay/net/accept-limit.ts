/** Decides on each TCP connection whether it is taken, and counts it. */
import { TokenBucket } from "../core/token-bucket.ts";
import type { TlsCounters } from "./tls-counters.ts";

export interface AcceptLimit {
  /** Connections a second; infinite for no limit, whatever the burst is, as in derper. */
  readonly perSecond: number;
  /** Connections at once. */
  readonly burst: number;
}

/**
 * @param now the relay's clock
 * @returns to be asked once per connection: false if it has to be closed at once
 */
export function createAcceptLimit(
  { perSecond, burst }: AcceptLimit,
  counters: TlsCounters,
  now: () => number,
): () => boolean {
  const unlimited = perSecond === Number.POSITIVE_INFINITY;
  const bucket = unlimited ? undefined : new TokenBucket(Math.max(0, perSecond), burst, now());
  return () => {
    const accepted = bucket?.take(now()) ?? true;
    if (accepted) counters.accepted++;
    else counters.rejected++;
    return accepted;
  };
}
