/**
 * Looks clients up in the tailnet's list of devices, fetched over the Tailscale API.
 *
 * Of other tailnets' nodes the list has at most those that are shared in (`isExternal`), and their keys are not promised.
 * A node key that was just rotated is in it from the next refresh on.
 */
import { classifyFailure } from "./failure.ts";
import { describeFailure } from "../outbound/failure.ts";
import { withDeadline } from "../outbound/http.ts";
import type { AdmissionMode, Applicant, ListState } from "./mode.ts";
import { TailscaleApiError } from "./access-token.ts";
import { deny, type Unknown, unknown, type Verdict } from "./verdict.ts";

/** Refreshes begin at least so far apart, whoever asks: strangers with ever new keys cause no more. */
const refreshEveryMs = 10_000;
/** A list older than this is refreshed before even a key that is on it is allowed. */
const freshMs = 60_000;
/** Of one refresh: token and list. A login that waits for it ends first; the next one finds the list. */
const timeLimitMs = 10_000;
/** Who is on a list that still stands waits no longer than this for a newer one: an API that hangs ends no login. */
const patienceMs = 3_000;
const maxPauseMs = 60_000;

export interface TailnetApiOptions {
  /** Fetches the keys of all devices as lower-case hex: `TailscaleClient.fetchKeys`. */
  readonly fetchKeys: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  /** How long the last list stands for those on it while there is no new one: as long as a session may go unchecked. */
  readonly staleMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** From 0 to 1: spreads the retries of a fleet. */
  readonly random: () => number;
  readonly log: (line: string) => void;
}

interface DeviceList {
  readonly keys: ReadonlySet<string>;
  /** When it was asked for. */
  readonly asOf: number;
}

export class TailnetApi implements AdmissionMode {
  readonly name = "tailnet-api";
  readonly #options: TailnetApiOptions;
  #list: DeviceList = { keys: new Set(), asOf: Number.NEGATIVE_INFINITY };
  #refreshing: Promise<void> | undefined;
  #refreshFrom = Number.NEGATIVE_INFINITY;
  /** What the last refresh came to, if it failed. */
  #trouble: Unknown | undefined;
  /** Refreshes that failed in a row. */
  #failures = 0;
  #reads = 0;
  #failedReads = 0;

  constructor(options: TailnetApiOptions) {
    this.#options = options;
  }

  async check({ key }: Applicant, signal: AbortSignal): Promise<Verdict> {
    const hex = key.toString("hex");
    const { now } = this.#options;
    const standing = this.#allows(hex, now());
    if (!standing) await this.#refresh(signal);
    else if (now() - this.#list.asOf > freshMs) await atMost(patienceMs, this.#refresh(signal));
    return this.#judge(hex, now());
  }

  get list(): ListState {
    const { keys, asOf } = this.#list;
    return {
      keys: keys.size,
      asOf: Number.isFinite(asOf) ? asOf : undefined,
      reads: this.#reads,
      failedReads: this.#failedReads,
    };
  }

  #allows(hex: string, now: number): boolean {
    return this.#list.keys.has(hex) && now - this.#list.asOf <= this.#options.staleMs;
  }

  /** Only a list from a refresh that went well, and is the latest, can deny. */
  #judge(hex: string, now: number): Verdict {
    const { keys, asOf } = this.#list;
    if (this.#allows(hex, now)) return { kind: "allow", asOf };
    if (this.#trouble !== undefined) return this.#trouble;
    return keys.has(hex)
      ? unknown("the device list is too old", "list")
      : deny("the key is on no device of the tailnet");
  }

  /** Joins the refresh under way, or begins one if its time has come. */
  async #refresh(signal: AbortSignal): Promise<void> {
    const now = this.#options.now();
    if (this.#refreshing === undefined && now >= this.#refreshFrom) {
      this.#refreshFrom = now + refreshEveryMs;
      this.#refreshing = this.#fetch(now, signal).finally(() => (this.#refreshing = undefined));
    }
    return this.#refreshing;
  }

  async #fetch(now: number, signal: AbortSignal): Promise<void> {
    const { fetchKeys, log } = this.#options;
    this.#reads++;
    try {
      this.#list = { keys: await withDeadline(timeLimitMs, signal, fetchKeys), asOf: now };
      if (this.#trouble !== undefined) log("the tailnet's device list is read again");
      this.#trouble = undefined;
      this.#failures = 0;
    } catch (error) {
      this.#failedReads++;
      const failure = error instanceof TailscaleApiError ? error.failure : classifyFailure(error);
      this.#trouble = unknown(describeFailure(error), failure);
      const pauseMs = this.#pause(error);
      this.#refreshFrom = this.#options.now() + pauseMs;
      if (signal.aborted) return;
      log(
        `the tailnet's device list cannot be read: ${this.#trouble.reason}; again in ${Math.ceil(pauseMs / 1_000)} s`,
      );
    }
  }

  /** 10 to 15 s, then twice that and so on, up to a minute and a half; longer if the API asks for it. */
  #pause(error: unknown): number {
    const backOff = Math.min(refreshEveryMs * 2 ** this.#failures++, maxPauseMs);
    const wished = error instanceof TailscaleApiError ? error.retryAfterMs : 0;
    return Math.max(backOff, wished) * (1 + 0.5 * this.#options.random());
  }
}

/** Waits for something that never fails, but not for long. */
async function atMost(ms: number, something: Promise<void>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, ms);
  await Promise.race([something, limit.promise]);
  clearTimeout(timer);
}
