/**
 * What the results of one probe, in their order, say of the relay. Pure: results and times go in.
 *
 * - A probe counts from its first pass on. One that never passed may tell of the machine alone: of a firewall on
 *   loopback, of a unit that may bind no port, of all clients that come back at once after a restart.
 * - Three failures within 15 s and the probe is failing. One or two are a hiccup, and so is what fails when a machine
 *   wakes that was suspended: only one try is under way, and what failed before is long ago then.
 * - Three passes in a row and it is well again, so that what comes and goes does not make clients come and go.
 */
export type ProbeState =
  | { readonly kind: "unproven" }
  /** `failedAt` are the failures that still count, oldest first. */
  | { readonly kind: "well"; readonly failedAt: readonly number[] }
  /** `passes` in a row since the last failure. */
  | { readonly kind: "failing"; readonly passes: number };

export const unproven: ProbeState = { kind: "unproven" };
export const failuresNeeded = 3;
export const windowMs = 15_000;
const passesNeeded = 3;

const well: ProbeState = { kind: "well", failedAt: [] };

/** @param now when the result was known: milliseconds on a clock that never goes back */
export function advance(state: ProbeState, passed: boolean, now: number): ProbeState {
  if (state.kind === "failing") {
    const passes = passed ? state.passes + 1 : 0;
    return passes < passesNeeded ? { kind: "failing", passes } : well;
  }
  if (passed) return state.kind === "well" ? state : well;
  if (state.kind === "unproven") return state;
  const failedAt = [...state.failedAt.filter((at) => now - at <= windowMs), now];
  return failedAt.length < failuresNeeded ? { kind: "well", failedAt } : { kind: "failing", passes: 0 };
}
