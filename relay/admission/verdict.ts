/** What is said of a client that wants in, and what several such sayings come to. */
import type { FailureKind } from "./failure.ts";

export type Verdict =
  /** `asOf`: when this was last known to be so, if not right now; milliseconds on the relay's clock. */
  | { readonly kind: "allow"; readonly asOf?: number }
  /** Somebody who must know says no. */
  | { readonly kind: "deny"; readonly reason: string }
  | Unknown;

/** Nobody could say. */
export interface Unknown {
  readonly kind: "unknown";
  readonly reason: string;
  readonly failure: FailureKind;
  /** The operator wants clients let in meanwhile (derper's `-verify-client-url-fail-open`). */
  readonly failOpen?: true;
  /** If so, and if others allow: as of when. */
  readonly asOf?: number;
}

export const allow: Verdict = { kind: "allow" };

export function deny(reason: string): Verdict {
  return { kind: "deny", reason };
}

export function unknown(reason: string, failure: FailureKind = "error"): Unknown {
  return { kind: "unknown", reason, failure };
}

/**
 * All have to allow. One that denies outweighs one that does not know, and what is allowed is as old as its oldest part.
 * Nobody asked means allowed.
 */
export function combineVerdicts(verdicts: readonly Verdict[]): Verdict {
  const unknowns = verdicts.filter((verdict) => verdict.kind === "unknown");
  return (
    verdicts.find(({ kind }) => kind === "deny") ??
    unknowns.find((verdict) => !admits(verdict)) ??
    asOfOldest(unknowns[0] ?? { kind: "allow" }, verdicts)
  );
}

/** Whether a new client may come in. */
export function admits(verdict: Verdict): boolean {
  return verdict.kind === "allow" || (verdict.kind === "unknown" && verdict.failOpen === true);
}

function asOfOldest(verdict: Exclude<Verdict, { kind: "deny" }>, all: readonly Verdict[]): Verdict {
  const times = all.flatMap((one) => (one.kind === "allow" && one.asOf !== undefined ? [one.asOf] : []));
  return times.length === 0 ? verdict : { ...verdict, asOf: Math.min(...times) };
}
