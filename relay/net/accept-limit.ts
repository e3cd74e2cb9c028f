/** Decides on each TCP connection whether it is taken, and counts it. */
import { TokenBucket } from "../core/token-bucket.ts";
import type { TlsCounters } from "./tls-counters.ts";

export interface AcceptLimit {
  /** Connections a second; undefined for no limit. */
  readonly perSecond: number | undefined;
  /** Connections at once; undefined for no limit, as in derper. */
  readonly burst: number | undefined;
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
  const unlimited = perSecond === undefined || burst === undefined;
  const bucket = unlimited ? undefined : new TokenBucket(perSecond, burst, now());
  return () => {
    const accepted = bucket?.take(now()) ?? true;
    if (accepted) counters.accepted++;
    else counters.rejected++;
    return accepted;
  };
}
