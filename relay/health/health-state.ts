/** Whether the relay is well, from what its probes of itself find: it is not while one of them is failing. Pure. */
import { advance, failuresNeeded, type ProbeState, unproven, windowMs } from "./probe-state.ts";

/** How often a probe has passed and failed. */
export interface ProbeCounts {
  readonly passed: number;
  readonly failed: number;
}

interface Entry extends ProbeCounts {
  readonly state: ProbeState;
}

const untried: Entry = { passed: 0, failed: 0, state: unproven };

export class HealthState {
  readonly #probes = new Map<string, Entry>();
  #failing: readonly string[] = [];

  /** The failing probes, by name; none while the relay is well. */
  get failing(): readonly string[] {
    return this.#failing;
  }

  /** By the probes' names; empty while none has ended. */
  get probes(): ReadonlyMap<string, ProbeCounts> {
    return this.#probes;
  }

  /**
   * Takes a probe's result.
   *
   * @param fault why it failed, as a clause; undefined if it passed
   * @param now milliseconds on a clock that never goes back
   * @returns what has changed, as a line for the log; undefined if nothing has
   */
  note(probe: string, fault: string | undefined, now: number): string | undefined {
    const before = this.#probes.get(probe) ?? untried;
    const passed = fault === undefined;
    const state = advance(before.state, passed, now);
    const counts = { passed: before.passed + Number(passed), failed: before.failed + Number(!passed) };
    this.#probes.set(probe, { ...counts, state });
    this.#failing = [...this.#probes].filter(([, entry]) => isFailing(entry)).map(([name]) => name);
    if (isFailing(before)) return state.kind === "failing" ? undefined : this.#renderRecovery(probe);
    if (state.kind === "failing") {
      const often = `${failuresNeeded} times within ${windowMs / 1_000} s`;
      return `unhealthy: the self-probe ${probe} failed ${often}, at last because ${fault}`;
    }
    const isNews = state.kind === "unproven" && before.failed === 0;
    return isNews ? `the self-probe ${probe} counts once it has passed; for now, ${fault}` : undefined;
  }

  #renderRecovery(probe: string): string {
    const rest = this.#failing.length === 0 ? "healthy" : `unhealthy still: ${this.#failing.join(", ")}`;
    return `the self-probe ${probe} passes again; ${rest}`;
  }
}

function isFailing({ state }: Entry): boolean {
  return state.kind === "failing";
}
