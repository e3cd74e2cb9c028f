/**
 * What a certificate's keeper does next: one pure function of what is known. All times are unix milliseconds.
 *
 * A keeper is then a loop: decide, do it, note how it went (steps.ts), decide again. **Whoever does anything but wait holds
 * the lock, and decides again after it has the lock and has read the files again:** another process may have done it
 * meanwhile, and what it noted must not be overwritten.
 *
 * An order is made if all of this holds:
 * 1. The certificate is due (renewal.ts), or there is none.
 * 2. The wait after the last failure is over (ladder.ts).
 * 3. The CA's limits leave room (budget.ts).
 * 4. The check of what the CA would see has passed within the last two minutes; or it has failed three times in a row, and
 *    no order was made in spite of it within the last 6 h. A check that failed is repeated after 2 s, then after 5 s, then
 *    each minute. It is advice: a host without hairpin NAT cannot see itself.
 *
 * A certificate that comes from the CA and is due at once (a clock that is ahead, a CA that begins its certificates long
 * ago) is renewed at half of what was left as it came. One that the CA wants to have renewed early comes early once in 6 h
 * at most. So no CA, and no clock, makes a relay order again and again.
 */
import { findExhausted } from "./budget.ts";
import { isShortLived, type Lifetime, overdueAt, plainDue } from "./renewal.ts";
import type { KeeperState } from "./state.ts";
import { allAttempts } from "./steps.ts";

/** The certificate that is stored and served. */
export interface StoredCertificate extends Lifetime {
  /** The same for the same certificate only: its name in renewal information (RFC 9773, section 4.1), or its digest. */
  readonly id: string;
}

/** What the configuration and the CA say. */
export interface Setting {
  /** The URL of the CA's directory. */
  readonly production: string;
  /** The URL of the directory of its staging CA, if it has one. */
  readonly staging: string | undefined;
}

/** A time, and a clause that says why. */
export interface Planned {
  readonly at: number;
  readonly why: string;
}

export type Decision =
  /** Nothing to do before `until`, an hour from now at the latest; `next` is when the next attempt is, as far as is known. */
  | { readonly kind: "wait"; readonly until: number; readonly next: Planned }
  /** Ask the CA when to renew; then `afterRenewalInfo` or `afterRenewalInfoFailure`. Failures of this are no news. */
  | { readonly kind: "ask-renewal-info"; readonly certificate: string; readonly next: Planned }
  /** Check what the CA would see; then `afterCheck`. */
  | { readonly kind: "check"; readonly why: string }
  /** `beginOrder`, order, `beginFinalizing`, finalize, store; then `afterSuccess` or `afterFailure`. */
  | {
      readonly kind: "order";
      readonly directory: "production" | "staging";
      readonly url: string;
      /** The id of the stored certificate if the order is to name it as the one that it replaces. */
      readonly replaces: string | undefined;
      /** The check failed; the order is made all the same. */
      readonly forced: boolean;
      /** Made because the CA advised it, ahead of the certificate's own time. */
      readonly advised: boolean;
      readonly why: string;
    };

const minute = 60_000;
/** Not longer, however far the next attempt is: clocks are set, machines sleep, and files change. */
export const longestWaitMs = 60 * minute;
/** For so long a check's result holds; more than the time between two. */
const checkHoldsMs = 2 * minute;
/** After so many failures of the check in a row an order is made all the same, once in so long. */
export const failuresToForce = 3;
export const forcedEveryMs = 360 * minute;
/** A certificate comes early by the CA's advice once in so long. */
export const advisedEveryMs = 360 * minute;
/** A certificate that came when it had ended already, by our clock. */
const deadOnArrivalMs = 360 * minute;
/** The longest that a CA, or the ladder, keeps us from asking for its advice. */
const longestAskMs = 25 * 60 * minute;
/** How much earlier than what was noted the clock may be; by more, it has been set back, and no wait of before counts. */
const clockTolerance = 5 * minute;

/**
 * Decides what to do.
 *
 * @param stored undefined if there is none that can be used
 */
export function decide(
  state: KeeperState,
  stored: StoredCertificate | undefined,
  setting: Setting,
  now: number,
): Decision {
  const renewal = planRenewal(state, stored, now);
  const order = planOrder(state, stored, setting, renewal, now);
  const next = planAttempt(state, order, renewal, now);
  const askAt = renewalInfoAt(state, stored, renewal, now);
  if (stored !== undefined && askAt <= now) return { kind: "ask-renewal-info", certificate: stored.id, next };
  return next.at > now
    ? { kind: "wait", until: Math.min(next.at, askAt, now + longestWaitMs), next }
    : decideByCheck(state, order, next.why, now);
}

/** When a stored certificate is due, and from when on its renewal is overdue. For metrics and warnings. */
export function outlook(
  state: KeeperState,
  stored: StoredCertificate,
  now: number,
): { readonly due: number; readonly overdue: number } {
  const { at: due } = planRenewal(state, stored, now);
  return { due, overdue: overdueAt(stored, due) };
}

/** How long after a failed check the next one is. @param failures in a row, 1 or more */
export function checkAgainAfter(failures: number): number {
  return [2_000, 5_000][failures - 1] ?? minute;
}

interface Renewal extends Planned {
  readonly advised: boolean;
}

type Order = Omit<Extract<Decision, { kind: "order" }>, "kind" | "forced" | "why">;

/** When the certificate is to be renewed, were there no failures and limits. */
function planRenewal(state: KeeperState, stored: StoredCertificate | undefined, now: number): Renewal {
  if (stored === undefined) return { at: 0, why: "there is no certificate", advised: false };
  const came = arrivalOf(state, stored, now);
  const own = ownDue(came, stored);
  const picked = pickedTime(state, came, stored);
  if (picked !== undefined && picked < own) {
    return { at: picked, why: "the CA advises to renew the certificate", advised: true };
  }
  const part = isShortLived(stored) ? "half" : "a third";
  return { at: own, why: `${part} of the certificate's lifetime is left`, advised: false };
}

type Arrival = NonNullable<KeeperState["lastSuccess"]>;

/** How the stored certificate came; undefined if that is not known, or was noted before the clock was set back. */
function arrivalOf(
  { lastSuccess }: KeeperState,
  { id }: StoredCertificate,
  now: number,
): Arrival | undefined {
  if (lastSuccess?.certificate !== id) return undefined;
  return lastSuccess.at > now + clockTolerance ? undefined : lastSuccess;
}

/** By its own days; half of what was left as it came if it came due. */
function ownDue(came: Arrival | undefined, stored: StoredCertificate): number {
  const due = plainDue(stored);
  if (came === undefined || due > came.at) return due;
  const left = stored.notAfter - came.at;
  return came.at + (left > 0 ? Math.max(Math.round(left / 2), minute) : deadOnArrivalMs);
}

/** The time that was picked from what the CA advises for this certificate. */
function pickedTime(
  { renewalInfo }: KeeperState,
  came: Arrival | undefined,
  { id }: StoredCertificate,
): number | undefined {
  if (renewalInfo?.certificate !== id || renewalInfo.picked === undefined) return undefined;
  return came?.advised === true ? Math.max(renewalInfo.picked, came.at + advisedEveryMs) : renewalInfo.picked;
}

/**
 * A certificate is named as replaced only where the CA has said when to renew it: it knows the certificate then, and takes
 * such orders (RFC 9773, section 5).
 */
function planOrder(
  { stagingFirst, renewalInfo, irreplaceable }: KeeperState,
  stored: StoredCertificate | undefined,
  { production, staging }: Setting,
  { advised }: Renewal,
  now: number,
): Order {
  if (stagingFirst && staging !== undefined) {
    return { directory: "staging", url: staging, replaces: undefined, advised };
  }
  const isKnown =
    stored !== undefined && renewalInfo?.certificate === stored.id && renewalInfo.window !== undefined;
  const mayReplace = isKnown && irreplaceable !== stored.id && now < stored.notAfter;
  return { directory: "production", url: production, replaces: mayReplace ? stored.id : undefined, advised };
}

/** The latest of what keeps an order back, with its reason. */
function planAttempt(state: KeeperState, { url, replaces }: Order, renewal: Renewal, now: number): Planned {
  const order = {
    identifier: state.identifier,
    directory: url,
    replaces: replaces !== undefined,
  };
  const exhausted = findExhausted(allAttempts(state), order, now);
  const reasons: Planned[] = [{ at: renewal.at, why: renewal.why }];
  if (state.nextAttempt !== undefined && !isClockSetBack(state, now)) reasons.push(state.nextAttempt);
  if (exhausted !== undefined) reasons.push({ at: exhausted.until, why: exhausted.why });
  return reasons.reduce((latest, reason) =>
    reason.at > Math.max(latest.at, now) ? { at: reason.at, why: reason.why } : latest,
  );
}

function isClockSetBack({ lastFailure }: KeeperState, now: number): boolean {
  return lastFailure !== undefined && lastFailure.at > now + clockTolerance;
}

/** When to ask the CA for its advice. Even for one that is due, once, so that the order can name what it replaces. */
function renewalInfoAt(
  { renewalInfo }: KeeperState,
  stored: StoredCertificate | undefined,
  renewal: Renewal,
  now: number,
): number {
  const never = Number.POSITIVE_INFINITY;
  if (stored === undefined || !(now < stored.notAfter)) return never;
  if (renewalInfo?.certificate !== stored.id) return 0;
  if (renewal.at <= now) return never;
  // A time that lies further ahead than any wait is of before the clock was set back.
  return renewalInfo.askAt > now + longestAskMs ? 0 : renewalInfo.askAt;
}

function decideByCheck({ check, forcedAt }: KeeperState, order: Order, why: string, now: number): Decision {
  if (check === undefined || Math.abs(now - check.at) >= checkHoldsMs) return { kind: "check", why };
  if (check.failures === 0) return { kind: "order", ...order, forced: false, why };
  const isForceable = forcedAt === undefined || Math.abs(now - forcedAt) >= forcedEveryMs;
  const failed = `the check before an order failed ${check.failures === 1 ? "once" : `${check.failures} times in a row`}`;
  if (check.failures >= failuresToForce && isForceable) {
    return { kind: "order", ...order, forced: true, why: `${why}; ${failed}, and is not always right` };
  }
  const at = check.at + checkAgainAfter(check.failures);
  const next = { at, why: `${failed}: ${check.fault ?? "it did not say why"}` };
  return at > now ? { kind: "wait", until: at, next } : { kind: "check", why };
}
