/**
 * The steps from one state of a certificate's keeper to the next. Pure: `now` is in unix milliseconds, `random` from 0 to 1.
 *
 * The rules:
 * - An order is noted before it is made: one that ends with the process leaves no other trace.
 * - After a failure at production that a staging CA would show as well, the staging CA is asked until it issues, and then
 *   production at once. A failure there that says nothing of us (it cannot be reached, it refuses the account) ends that:
 *   a staging CA that is down must not keep a relay from its certificate.
 * - The ladder (ladder.ts) counts all failures in a row; a success of staging does not reset it.
 * - The check before an order is advice; see decision.ts for when an order is made in spite of it.
 */
import type { Attempt, Outcome } from "./budget.ts";
import { forgetOld } from "./budget.ts";
import { type FailureKind, type FailureTraits, traitsOf } from "./failure-kinds.ts";
import { waitAfter } from "./ladder.ts";
import { askAgainAfter, pickTime, type RenewalWindow } from "./renewal.ts";
import { initialState, type KeeperState } from "./state.ts";

/** Why there is no certificate. */
export interface Failure {
  readonly kind: FailureKind;
  /** For people; no secrets. */
  readonly message: string;
  /** How long the CA wants to be left alone, from now. */
  readonly retryAfterMs?: number | undefined;
}

/** What an order is going to be; a decision of kind `order` is one. */
export interface OrderStart {
  /** The URL of the CA's directory. */
  readonly url: string;
  readonly directory: "production" | "staging";
  /** The id of the certificate that the order replaces. */
  readonly replaces: string | undefined;
  readonly forced: boolean;
  readonly advised: boolean;
}

/** As long as a CA's message may be, to be kept. */
const longestMessage = 2_000;
const dayMs = 86_400_000;

/**
 * To be called at a start. If what the attempts are made with has changed (the directory, the account, the profile, the
 * way of proof), then somebody has mended something: no failure of before keeps an attempt back. The CA's limits do.
 *
 * @param settings any text that is the same for the same settings; it is stored, so no secrets
 */
export function forSettings(state: KeeperState, settings: string): KeeperState {
  if (state.settings === settings) return state;
  const { attempts, inFlight, lastSuccess } = state;
  return { ...initialState(state.identifier, settings), attempts, inFlight, lastSuccess };
}

/** Before an order is made. The state has to be on the disk before the CA hears of it. */
export function beginOrder(state: KeeperState, order: OrderStart, now: number): KeeperState {
  const { url, directory, replaces, forced, advised } = order;
  const before = state.inFlight;
  return {
    ...(before === undefined ? state : endOrder(state, outcomeOf(before, traitsOf("interrupted")), now)),
    inFlight: {
      at: now,
      directory: url,
      staging: directory === "staging",
      replaces,
      forced,
      advised,
      finalizing: false,
    },
    forcedAt: forced ? now : state.forcedAt,
  };
}

/** The CA has seen all proofs; the order is about to be finalized. On the disk before it is. */
export function beginFinalizing(state: KeeperState): KeeperState {
  return state.inFlight === undefined
    ? state
    : { ...state, inFlight: { ...state.inFlight, finalizing: true } };
}

/**
 * The order that is under way gave a certificate: one of production, which is stored, or one of staging, which is proof
 * enough and is thrown away.
 *
 * @param certificate the id of what is stored now; not used after staging
 */
export function afterSuccess(state: KeeperState, certificate: string, now: number): KeeperState {
  const { inFlight } = state;
  if (inFlight === undefined) return state;
  const ended = endOrder(state, "issued", now);
  // The check was wrong if an order succeeds that was made in spite of it.
  if (inFlight.staging) {
    return { ...ended, stagingFirst: false, nextAttempt: undefined, forcedAt: undefined };
  }
  const { directory, advised } = inFlight;
  return {
    ...initialState(state.identifier, state.settings),
    attempts: ended.attempts,
    lastSuccess: { at: now, certificate, directory, advised },
  };
}

/**
 * An attempt failed: the order that is under way, or what came before it (no account, no room on the disk).
 *
 * @param hasStaging whether there is a staging CA to ask
 */
export function afterFailure(
  state: KeeperState,
  failure: Failure,
  hasStaging: boolean,
  now: number,
  random: number,
): KeeperState {
  const { inFlight } = state;
  const { kind } = failure;
  const traits = traitsOf(kind);
  const notReplaced = inFlight?.replaces !== undefined && (kind === "replaced" || kind === "malformed");
  const failures = state.failures + 1;
  const person = traits.person === true && !notReplaced;
  const wait = waitAfter({ failures, person, retryAfterMs: failure.retryAfterMs }, random);
  return {
    ...endOrder(state, outcomeOf(state.inFlight, traits), now),
    failures,
    lastFailure: { kind, message: failure.message.slice(0, longestMessage), at: now },
    nextAttempt: { at: now + wait, why: explainWait(failures, kind) },
    stagingFirst: hasStaging && nextStagingFirst(state, traits),
    irreplaceable: notReplaced ? inFlight.replaces : state.irreplaceable,
    // What it saw is over; failures in a row stay failures in a row.
    check: state.check?.failures === 0 ? undefined : state.check,
  };
}

/**
 * To be called by whoever has just taken the lock: an order that is under way now was left by a process that is no more.
 * The first time nothing is waited for: most likely somebody stopped the relay. Further ones count as failures in a row,
 * so that a relay which is killed by its orders makes fewer and fewer.
 */
export function afterInterruption(state: KeeperState, now: number, random: number): KeeperState {
  if (state.inFlight === undefined) return state;
  const failure = { kind: "interrupted", message: "The relay ended while an order was under way." } as const;
  const { stagingFirst } = state;
  const left = { ...afterFailure(state, failure, false, now, random), stagingFirst };
  return left.failures === 1 ? { ...left, nextAttempt: undefined } : left;
}

/**
 * The check of what the CA would see has ended.
 *
 * @param fault why it failed, as a clause; undefined if it passed
 */
export function afterCheck(state: KeeperState, fault: string | undefined, now: number): KeeperState {
  const failures = fault === undefined ? 0 : (state.check?.failures ?? 0) + 1;
  const check = { at: now, failures, fault: fault?.slice(0, longestMessage) };
  return { ...state, check, forcedAt: fault === undefined ? undefined : state.forcedAt };
}

/**
 * The CA has said when it would like a certificate to be renewed. A window that stays the same keeps the time that was
 * picked in it; one that ends before it begins counts as no answer (RFC 9773, section 4.2).
 *
 * @param answer without a window if the CA has no renewal information: it is asked again in a day
 */
export function afterRenewalInfo(
  state: KeeperState,
  certificate: string,
  answer: { readonly window: RenewalWindow | undefined; readonly retryAfterMs?: number | undefined },
  now: number,
  random: number,
): KeeperState {
  const { window } = answer;
  if (window === undefined)
    return { ...state, renewalInfo: { certificate, askAt: now + dayMs, failures: 0 } };
  const before = state.renewalInfo?.certificate === certificate ? state.renewalInfo : undefined;
  const same = before?.window?.start === window.start && before.window.end === window.end;
  const picked = same ? before.picked : pickTime(window, now, random);
  if (picked === undefined) return afterRenewalInfoFailure(state, certificate, now, random);
  const askAt = now + askAgainAfter(answer.retryAfterMs);
  return { ...state, renewalInfo: { certificate, window, picked, askAt, failures: 0 } };
}

/** The CA has not said it. It is asked again by the ladder, and what it said before stays. */
export function afterRenewalInfoFailure(
  state: KeeperState,
  certificate: string,
  now: number,
  random: number,
  retryAfterMs?: number,
): KeeperState {
  const before = state.renewalInfo?.certificate === certificate ? state.renewalInfo : undefined;
  const failures = (before?.failures ?? 0) + 1;
  const askAt =
    now + Math.max(waitAfter({ failures }, random), retryAfterMs ? askAgainAfter(retryAfterMs) : 0);
  return { ...state, renewalInfo: { ...before, certificate, askAt, failures } };
}

/** Puts the order that is under way to the past ones. */
function endOrder(state: KeeperState, outcome: Outcome, now: number): KeeperState {
  const { inFlight } = state;
  const ended: Attempt[] = inFlight === undefined ? [] : [{ ...pastAttempt(inFlight), at: now, outcome }];
  return { ...state, inFlight: undefined, attempts: forgetOld([...state.attempts, ...ended], now) };
}

/** All orders that count, the one under way among them. */
export function allAttempts(state: KeeperState): readonly Attempt[] {
  return state.inFlight === undefined ? state.attempts : [...state.attempts, pastAttempt(state.inFlight)];
}

function pastAttempt({ at, directory, replaces, finalizing }: NonNullable<KeeperState["inFlight"]>): Attempt {
  const outcome = finalizing ? "finalizing" : "ordered";
  return { at, directory, outcome, replaces: replaces !== undefined };
}

function outcomeOf(inFlight: KeeperState["inFlight"], traits: FailureTraits): Outcome {
  if (inFlight?.finalizing === true) return traits.mayHaveIssued === true ? "issued" : "ended";
  return traits.validation === true ? "invalid" : "ended";
}

function nextStagingFirst({ inFlight, stagingFirst }: KeeperState, traits: FailureTraits): boolean {
  if (inFlight === undefined) return stagingFirst;
  return traits.staging === true;
}

function explainWait(failures: number, kind: FailureKind): string {
  return failures === 1
    ? `the last attempt failed (${kind})`
    : `the last ${failures} attempts failed, at last with ${kind}`;
}
