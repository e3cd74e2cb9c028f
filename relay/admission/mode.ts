/** A way to find out who may connect. */
import type { NodeKey } from "../crypto/keys.ts";
import type { Verdict } from "./verdict.ts";

/** Who wants in. The handshake has proved that it owns the key. */
export interface Applicant {
  readonly key: NodeKey;
  /** Its IP address as text, without a port; IPv4 in dotted form. Empty if it is not known. */
  readonly source: string;
}

/** Of a mode that looks clients up in a list. */
export interface ListState {
  /** How many keys were on the last good list. */
  readonly keys: number;
  /** When that was last known to be right; undefined if there was none yet. Milliseconds on the relay's clock. */
  readonly asOf: number | undefined;
  /** Attempts to read the list, and those of them that failed. */
  readonly reads: number;
  readonly failedReads: number;
}

export interface AdmissionMode {
  /** For logs and as a label of metrics. */
  readonly name: string;

  /**
   * Asks about one client.
   *
   * @param signal aborted when the relay stops
   * @throws anything: what goes wrong counts as not knowing, and the error's message, which holds no secret, as the reason
   */
  check(applicant: Applicant, signal: AbortSignal): Promise<Verdict>;

  readonly list?: ListState;

  /**
   * Tries whether a question would get a good answer.
   *
   * @param signal aborted when the relay stops
   * @returns what is wrong, a clause; undefined if nothing is. Never a rejection
   */
  findProblem?(signal: AbortSignal): Promise<string | undefined>;

  /** Looks again, at the next check, at what was read before (SIGHUP). */
  reload?(): void;
}
