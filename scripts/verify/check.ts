/** What a check is, and how one is run: with a deadline of its own, and not at all if what it builds on failed. */
import { orGiveUp, RelayFailure } from "../../relay/client/failure.ts";

/** Every check, in the order in which results are shown. A family's name marks what is done over each family. */
export const checkNames = [
  "tls-ipv4",
  "tls-ipv6",
  "meta-certificate",
  "derp-login-ipv4",
  "derp-login-ipv6",
  "server-key",
  "fast-start",
  "packet",
  "transport-secrecy",
  "ping",
  "stun-ipv4",
  "stun-ipv6",
  "http-probe",
  "http-latency-check",
  "http-generate-204",
  "healthz",
] as const;
export type CheckName = (typeof checkNames)[number];

export type Status = "passed" | "failed" | "untested";

export interface CheckResult {
  readonly name: CheckName;
  /** True if it passed. */
  readonly ok: boolean;
  /** `untested`: cannot be tested from here, which says nothing about the relay. */
  readonly status: Status;
  /** What was seen, or what is wrong, in words. */
  readonly detail: string;
  /** How long it took, in whole milliseconds. */
  readonly ms: number;
}

/** What was seen is wrong. The message is a clause for a person and holds no secret. */
export class CheckFailed extends Error {
  override readonly name: string = "CheckFailed";
}

/** The check cannot be done from here. */
export class CannotTest extends Error {
  override readonly name = "CannotTest";
}

/** Whether it is the node's fault or its surroundings', and no bug of ours. */
export function isNotOurs(error: unknown): error is Error {
  return error instanceof RelayFailure || error instanceof CheckFailed || error instanceof CannotTest;
}

/** What a check yields when it passes: what was seen, and whatever later checks build on. */
export interface Seen {
  readonly detail: string;
}

export type Outcome<T extends Seen> =
  | { readonly status: "passed"; readonly seen: T }
  /** `cause` is why checks that build on this one are not tried, as a clause: the first of a chain is named. */
  | { readonly status: "failed" | "untested"; readonly cause: string };

/** Runs a check on what another one has seen. It does not reject on anything that a relay can do. */
export type RunCheck = <N extends Seen, T extends Seen>(
  name: CheckName,
  needs: Outcome<N>,
  check: (needed: N, signal: AbortSignal) => T | Promise<T>,
) => Promise<Outcome<T>>;

export interface RunnerOptions {
  /** For each single check. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called once per check, as it ends. */
  readonly report: (result: CheckResult) => void;
}

/** A check that does not end by itself at its deadline is left behind so much later. */
const graceMs = 500;
/** In characters. */
const maxDetail = 400;

/** Makes the function that runs the checks of a node. */
export function createRunner({ timeoutMs, signal, report }: RunnerOptions): RunCheck {
  return async (name, needed, check) => {
    if (needed.status !== "passed") {
      report({ name, ok: false, status: needed.status, detail: `not tried: ${needed.cause}`, ms: 0 });
      return needed;
    }
    const started = performance.now();
    const ended = await attempt(async (limit) => await check(needed.seen, limit), timeoutMs, signal);
    const ms = Math.round(performance.now() - started);
    const { status } = ended;
    report({ name, ok: status === "passed", status, detail: tidy(ended.detail), ms });
    return status === "passed" ? ended : { status, cause: `${name} ${causes[status]}` };
  };
}

const causes = { failed: "failed", untested: "cannot be tested from here" } as const;

type Attempt<T extends Seen> =
  | { readonly status: "passed"; readonly seen: T; readonly detail: string }
  | { readonly status: "failed" | "untested"; readonly detail: string };

/**
 * Does one check within the deadline.
 *
 * @throws whatever is neither the relay's fault nor the surroundings': a bug of ours
 */
async function attempt<T extends Seen>(
  check: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Attempt<T>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const last = AbortSignal.timeout(timeoutMs + graceMs);
  try {
    const seen = await orGiveUp(check(limit), last, () => "the end of this check");
    return { status: "passed", seen, detail: seen.detail };
  } catch (error) {
    if (!isNotOurs(error)) throw error;
    return { status: error instanceof CannotTest ? "untested" : "failed", detail: error.message };
  }
}

/** A detail may quote what a server said: it gets no say over the terminal, and no page of its own. */
function tidy(detail: string): string {
  const printable = detail.replaceAll(/\p{C}/gu, "?");
  return printable.length > maxDetail ? `${printable.slice(0, maxDetail)}…` : printable;
}
