/** Answers that are still good, within bounds. */
import type { Verdict } from "./verdict.ts";

/** How long an answer may be used again, in milliseconds. Not knowing is no answer. */
export const answerLifeMs: Readonly<Record<Verdict["kind"], number>> = {
  allow: 30_000,
  deny: 5_000,
  unknown: 0,
};

interface Answer {
  readonly verdict: Verdict;
  readonly goodUntil: number;
}

export class AnswerCache {
  readonly #maxEntries: number;
  /** In order of insertion. */
  readonly #answers = new Map<string, Answer>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#answers.size;
  }

  get(question: string, now: number): Verdict | undefined {
    const answer = this.#answers.get(question);
    if (answer === undefined || now < answer.goodUntil) return answer?.verdict;
    this.#answers.delete(question);
    return undefined;
  }

  /** Keeps an answer; the one that was kept first goes if there are too many. It costs one more query, no more. */
  set(question: string, verdict: Verdict, now: number): void {
    this.#answers.delete(question);
    if (answerLifeMs[verdict.kind] === 0) return;
    this.#answers.set(question, { verdict, goodUntil: now + answerLifeMs[verdict.kind] });
    if (this.#answers.size <= this.#maxEntries) return;
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest);
      break;
    }
  }
}
