/** Who may connect: what the sessions ask. No mode at all lets everybody in, as derper does without its flags. */
import { TokenBucket } from "../core/token-bucket.ts";
import { renderShortKey } from "../crypto/keys.ts";
import { normaliseIp } from "../ip-address.ts";
import { CachedMode, type ModeCounters } from "./cached-mode.ts";
import type { AdmissionMode, Applicant, ListState } from "./mode.ts";
import { Rechecks } from "./rechecks.ts";
import type { EndReason } from "./standing.ts";
import { admits, allow, combineVerdicts, unknown, type Verdict } from "./verdict.ts";

/** A client that has proved its key. */
export interface Client extends Applicant {
  /** It has shown a valid mesh key: it is let in and never asked about, not even later. */
  readonly mesh: boolean;
}

export interface AdmissionOptions {
  /** In the order in which they are asked: the cheap ones first. */
  readonly modes: readonly AdmissionMode[];
  /** Time from one check of an open session to the next, about; 0 for none, as derper. Milliseconds. */
  readonly recheckMs: number;
  /** How long a session may live on without anybody knowing whether it may. Milliseconds. */
  readonly staleMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: (line: string) => void;
}

export interface AdmissionCounters {
  readonly modes: Readonly<Record<string, Readonly<ModeCounters> & { readonly list?: ListCounters }>>;
  /** Sessions that were ended. */
  readonly ended: Readonly<Record<EndReason, number>>;
  /** Sessions that are asked about again and again: a gauge. */
  readonly watched: number;
}

const endings: Readonly<Record<EndReason, string>> = {
  denied: "it was denied twice",
  stale: "nobody could say for too long whether it may stay",
};

/** Of a mode that looks clients up in a list. */
export interface ListCounters extends Omit<ListState, "asOf"> {
  /** Time since the last good list was last known to be right; undefined if there was none yet. */
  readonly ageMs: number | undefined;
}

export class Admission implements Disposable {
  readonly #modes: readonly CachedMode[];
  readonly #rechecks: Rechecks;
  readonly #now: () => number;
  readonly #log: (line: string) => void;
  /** Who is turned away is logged, strangers by the thousands are not: ten lines at once, then one in 10 s. */
  readonly #lines: TokenBucket;
  readonly #stop = new AbortController();

  constructor({ modes, ...options }: AdmissionOptions) {
    this.#now = options.now;
    this.#log = options.log;
    this.#lines = new TokenBucket(1 / 10, 10, options.now());
    this.#modes = modes.map((mode) => new CachedMode(mode, options));
    this.#rechecks = new Rechecks({ ...options, ask: (applicant) => this.#ask(applicant) });
  }

  /** Nobody is asked: everybody may come in. */
  get isOpen(): boolean {
    return this.#modes.length === 0;
  }

  /**
   * Asks whether a client may come in; `admits` reads the answer.
   *
   * @param signal aborted when the client leaves; the answer then does not matter and comes at once
   * @returns never a rejection
   */
  async admit(client: Client, signal: AbortSignal): Promise<Verdict> {
    if (client.mesh || this.isOpen) return allow;
    const verdict = await unlessAborted(this.#ask(client), signal);
    if (verdict.kind !== "allow" && !admits(verdict) && !signal.aborted) {
      this.#report(client, `is not let in: ${verdict.reason}`);
    }
    return verdict;
  }

  /**
   * Has an open session asked about again, and ended when it may no longer stay.
   *
   * @param verdict what `admit` said of it
   * @param end called at most once, from a later turn of the event loop
   * @returns to be called when the session has ended; may be called again
   */
  watch(client: Client, verdict: Verdict, end: (reason: EndReason) => void): () => void {
    if (client.mesh || this.isOpen) return () => {};
    const allowedAt = (verdict.kind === "deny" ? undefined : verdict.asOf) ?? this.#now();
    return this.#rechecks.watch(client, allowedAt, (reason) => {
      this.#report(client, `has to leave: ${endings[reason]}`);
      end(reason);
    });
  }

  /** Does what time has made due. To be called about once a second. */
  tick(now: number): void {
    this.#rechecks.tick(now);
  }

  /** Forgets what was answered and reads files again (SIGHUP). Sessions stay. */
  reload(): void {
    for (const mode of this.#modes) mode.reload();
  }

  get counters(): AdmissionCounters {
    return {
      modes: Object.fromEntries(this.#modes.map((mode) => [mode.name, this.#countersOf(mode)])),
      ended: this.#rechecks.ended,
      watched: this.#rechecks.size,
    };
  }

  /** Tries whether those who are asked would give a good answer. @returns what is wrong; never a rejection */
  async findProblems(): Promise<string[]> {
    const problems = await Promise.all(this.#modes.map((mode) => mode.findProblem(this.#stop.signal)));
    return problems.filter((problem) => problem !== undefined);
  }

  #countersOf({ counters, list }: CachedMode): AdmissionCounters["modes"][string] {
    if (list === undefined) return counters;
    const { asOf, ...others } = list;
    return { ...counters, list: { ...others, ageMs: asOf === undefined ? undefined : this.#now() - asOf } };
  }

  /** Ends the queries that are under way. */
  [Symbol.dispose](): void {
    this.#stop.abort(new Error("the relay stops"));
  }

  #report({ key }: Client, what: string): void {
    if (this.#stop.signal.aborted || !this.#lines.take(this.#now())) return;
    this.#log(`client ${renderShortKey(key)} ${what}`);
  }

  /** One mode after the other, as derper does; a denial spares the rest. */
  async #ask({ key, source }: Applicant): Promise<Verdict> {
    const applicant = { key, source: normaliseIp(source) ?? "" };
    const verdicts: Verdict[] = [];
    for (const mode of this.#modes) {
      const verdict = await mode.ask(applicant, this.#stop.signal);
      verdicts.push(verdict);
      if (verdict.kind === "deny") break;
    }
    return combineVerdicts(verdicts);
  }
}

/** The query itself goes on: others may wait for the same answer. */
async function unlessAborted(query: Promise<Verdict>, signal: AbortSignal): Promise<Verdict> {
  const gone = Promise.withResolvers<Verdict>();
  const leave = (): void => gone.resolve(unknown("the client left"));
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave);
  try {
    return await Promise.race([gone.promise, query]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
