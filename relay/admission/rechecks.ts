/** Open sessions are asked about again: who may no longer connect does not stay. */
import type { Applicant } from "./mode.ts";
import { confirmMs, type EndReason, reviewStanding, type Standing } from "./standing.ts";
import type { Verdict } from "./verdict.ts";

/** Checks under way at once, so that a large relay does not flood whom it asks, and logins come first. */
const maxChecks = 16;

export interface RecheckOptions {
  /** Time from one check of a session to the next; 0 for none. Milliseconds, as are all times here. */
  readonly recheckMs: number;
  /** How long a session may live on without anybody knowing whether it may. */
  readonly staleMs: number;
  readonly now: () => number;
  /** From 0 to 1: spreads the checks, so that clients that came together are not asked about together. */
  readonly random: () => number;
  readonly ask: (applicant: Applicant) => Promise<Verdict>;
}

interface Watched {
  readonly applicant: Applicant;
  readonly end: (reason: EndReason) => void;
  standing: Standing;
  dueAt: number;
}

export class Rechecks {
  readonly ended: Record<EndReason, number> = { denied: 0, stale: 0 };
  readonly #options: RecheckOptions;
  /** Those that were asked about longest ago come first. */
  readonly #watched = new Set<Watched>();
  #checks = 0;

  constructor(options: RecheckOptions) {
    this.#options = options;
  }

  /** Sessions that are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Watches a session from its login on.
   *
   * @param allowedAt as of when it was allowed in
   * @param end called once, when the session has to end
   * @returns to be called when the session has ended
   */
  watch(applicant: Applicant, allowedAt: number, end: (reason: EndReason) => void): () => void {
    if (this.#options.recheckMs === 0) return () => {};
    const standing = { allowedAt, deniedAt: undefined };
    const watched: Watched = { applicant, end, standing, dueAt: this.#nextDue(standing) };
    this.#watched.add(watched);
    return () => this.#watched.delete(watched);
  }

  /** Begins the checks that are due. To be called about once a second. */
  tick(now: number): void {
    for (const watched of this.#watched) {
      if (this.#checks >= maxChecks) return;
      if (now >= watched.dueAt) void this.#check(watched);
    }
  }

  async #check(watched: Watched): Promise<void> {
    watched.dueAt = Number.POSITIVE_INFINITY;
    // To the end of the line: when answers come so slowly that not all can have their turn in time, each has one late.
    this.#watched.delete(watched);
    this.#watched.add(watched);
    this.#checks++;
    const verdict = await this.#options.ask(watched.applicant);
    this.#checks--;
    if (this.#watched.has(watched)) this.#review(watched, verdict);
  }

  #review(watched: Watched, verdict: Verdict): void {
    const { now, staleMs } = this.#options;
    const outcome = reviewStanding(watched.standing, verdict, now(), staleMs);
    if (typeof outcome === "string") {
      this.#watched.delete(watched);
      this.ended[outcome]++;
      watched.end(outcome);
      return;
    }
    watched.standing = outcome;
    watched.dueAt = this.#nextDue(outcome);
  }

  /** A session under suspicion is asked about as soon as the answer counts; the others in 90 to 110 % of the time. */
  #nextDue({ deniedAt }: Standing): number {
    const { now, random, recheckMs } = this.#options;
    return now() + (deniedAt === undefined ? recheckMs * (0.9 + 0.2 * random()) : confirmMs);
  }
}
