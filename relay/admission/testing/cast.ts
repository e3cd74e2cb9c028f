/** A clock that stands still, a mode that says what it is told, and what was logged. */
import type { AdmissionMode, Applicant } from "../mode.ts";
import type { Verdict } from "../verdict.ts";

export interface Bench {
  /** Milliseconds; a test moves it on. */
  time: number;
  readonly lines: string[];
  readonly now: () => number;
  readonly random: () => number;
  readonly log: (line: string) => void;
}

export function bench(): Bench {
  const made: Bench = {
    time: 1_000_000,
    lines: [],
    now: () => made.time,
    random: () => 0.5,
    log: (line) => made.lines.push(line),
  };
  return made;
}

/** A mode that gives `verdict`, or waits until the test answers. */
export class Oracle implements AdmissionMode {
  readonly name: string;
  readonly asked: Applicant[] = [];
  readonly waiting: PromiseWithResolvers<Verdict>[] = [];
  verdict: Verdict | Error | undefined;
  reloads = 0;

  /** @param verdict undefined: each check waits in `waiting` */
  constructor(verdict?: Verdict, name = "oracle") {
    this.verdict = verdict;
    this.name = name;
  }

  async check(asking: Applicant): Promise<Verdict> {
    this.asked.push(asking);
    if (this.verdict instanceof Error) throw this.verdict;
    if (this.verdict !== undefined) return this.verdict;
    const answer = Promise.withResolvers<Verdict>();
    this.waiting.push(answer);
    return answer.promise;
  }

  reload(): void {
    this.reloads++;
  }
}

/** Lets everything go on that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
