/** How an open session stands with those who admit clients. */
import { admits, type Verdict } from "./verdict.ts";

/** Milliseconds on the relay's clock. */
export interface Standing {
  /** When the client was last known to be allowed, or would have been let in without anybody knowing. */
  readonly allowedAt: number;
  /** When it was first denied since; undefined if it was not. */
  readonly deniedAt: number | undefined;
}

/** Why a session has to end. */
export type EndReason =
  | "denied" // on two checks, at least `confirmMs` apart
  | "stale"; // nobody could say for longer than is tolerable

/** A first denial may be an accident, such as a list that is being replaced: only a second one this much later counts. */
export const confirmMs = 20_000;

/**
 * Reviews a session after a check.
 *
 * Not knowing never ends a session before `staleMs` have gone by since it was last allowed. As long as a new client would
 * be let in nevertheless, that counts as being allowed, so that the end of such an outage finds nobody overdue. Not
 * knowing does not make up for a denial, though: only being allowed does.
 *
 * @returns the new standing, or why the session has to end
 */
export function reviewStanding(
  standing: Standing,
  verdict: Verdict,
  now: number,
  staleMs: number,
): Standing | EndReason {
  if (verdict.kind === "deny") {
    const deniedAt = standing.deniedAt ?? now;
    return now - deniedAt >= confirmMs ? "denied" : { ...standing, deniedAt };
  }
  const latest = admits(verdict) ? (verdict.asOf ?? now) : standing.allowedAt;
  const allowedAt = Math.max(standing.allowedAt, latest);
  const deniedAt = verdict.kind === "allow" ? undefined : standing.deniedAt;
  return now - allowedAt > staleMs ? "stale" : { allowedAt, deniedAt };
}
