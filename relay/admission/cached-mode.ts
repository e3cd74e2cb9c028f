/** A mode with what every mode needs around it: a cache, one query per client at a time, counters, a log line. */
import { TokenBucket } from "../core/token-bucket.ts";
import { AnswerCache } from "./answer-cache.ts";
import { classifyFailure, type FailureKind, failureKinds } from "./failure.ts";
import { describeFailure } from "../outbound/failure.ts";
import type { AdmissionMode, Applicant, ListState } from "./mode.ts";
import { unknown, type Verdict } from "./verdict.ts";

/** Answers kept per mode: enough for every client of a large relay, at some 200 bytes each. */
const maxAnswers = 20_000;
/** Queries under way per mode. A client that left does not end its query, so the number of connections is no bound. */
export const maxQueries = 4_096;

const tooMany = unknown("too many clients are asked about at once", "overload");

export interface ModeCounters {
  /** Questions that were put to the mode itself. */
  queries: number;
  /** Answers, but for those from memory, by what they were. */
  allow: number;
  deny: number;
  unknown: number;
  /** Answers given again from memory. */
  cached: number;
  /** Why nobody could say: those that are unknown, by kind. */
  readonly failures: Record<FailureKind, number>;
}

export interface CachedModeOptions {
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  readonly log: (line: string) => void;
}

export class CachedMode {
  readonly counters: ModeCounters = createModeCounters();
  readonly #mode: AdmissionMode;
  readonly #options: CachedModeOptions;
  #answers = new AnswerCache(maxAnswers);
  #queries = new Map<string, Promise<Verdict>>();
  #knows = true;
  /** A mode that fails now and then may say so four times at once and then once a minute. */
  readonly #lines: TokenBucket;

  constructor(mode: AdmissionMode, options: CachedModeOptions) {
    this.#mode = mode;
    this.#options = options;
    this.#lines = new TokenBucket(1 / 60, 4, options.now());
  }

  get name(): string {
    return this.#mode.name;
  }

  get list(): ListState | undefined {
    return this.#mode.list;
  }

  async findProblem(signal: AbortSignal): Promise<string | undefined> {
    return this.#mode.findProblem?.(signal);
  }

  /** Asks, unless the answer is known or on its way. Never rejects. */
  async ask(applicant: Applicant, signal: AbortSignal): Promise<Verdict> {
    const question = `${applicant.key.toString("hex")} ${applicant.source}`;
    const known = this.#answers.get(question, this.#options.now());
    if (known !== undefined) {
      this.counters.cached++;
      return known;
    }
    const query = this.#queries.get(question);
    if (query === undefined && this.#queries.size >= maxQueries) return this.#answer(tooMany, signal);
    return query ?? this.#query(question, applicant, signal);
  }

  /** Forgets every answer, those on their way included. */
  reload(): void {
    this.#answers = new AnswerCache(maxAnswers);
    this.#queries = new Map();
    this.#mode.reload?.();
  }

  async #query(question: string, applicant: Applicant, signal: AbortSignal): Promise<Verdict> {
    const answers = this.#answers;
    const queries = this.#queries;
    const query = this.#check(applicant, signal);
    queries.set(question, query);
    const verdict = await query;
    queries.delete(question);
    answers.set(question, verdict, this.#options.now());
    return verdict;
  }

  async #check(applicant: Applicant, signal: AbortSignal): Promise<Verdict> {
    const askedAt = this.#options.now();
    this.counters.queries++;
    let verdict: Verdict;
    try {
      verdict = await this.#mode.check(applicant, signal);
    } catch (error) {
      verdict = unknown(describeFailure(error), classifyFailure(error));
    }
    return this.#answer(
      verdict.kind === "allow" ? { kind: "allow", asOf: verdict.asOf ?? askedAt } : verdict,
      signal,
    );
  }

  #answer(verdict: Verdict, signal: AbortSignal): Verdict {
    this.counters[verdict.kind]++;
    if (verdict.kind === "unknown") this.counters.failures[verdict.failure]++;
    if (!signal.aborted) this.#report(verdict);
    return verdict;
  }

  /** Says when the mode stops knowing and when it knows again; not each time it is asked. */
  #report(verdict: Verdict): void {
    const knows = verdict.kind !== "unknown";
    if (knows === this.#knows || !this.#lines.take(this.#options.now())) return;
    this.#knows = knows;
    this.#options.log(
      verdict.kind === "unknown"
        ? `admission by ${this.name} does not know who may connect: ${verdict.reason}`
        : `admission by ${this.name} knows again who may connect`,
    );
  }
}

/** Every kind is there from the start: what is first seen at 1 has no rate. */
export function createModeCounters(): ModeCounters {
  const failures = Object.fromEntries(failureKinds.map((kind) => [kind, 0])) as ModeCounters["failures"];
  return { queries: 0, allow: 0, deny: 0, unknown: 0, cached: 0, failures };
}
