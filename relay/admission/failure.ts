/** What went wrong: in a few words for a log, and its kind for a metric. */

/** Why nobody could say whether a client may come in. Each is a label of a metric. */
export const failureKinds = [
  "error", // whoever is to be asked could not be asked
  "timeout", // no answer in time
  "answer", // an answer that is neither yes nor no
  "throttled", // 429
  "not_running", // a tailscaled that is logged out, stopped or just starting
  "list", // a list that cannot be read, is empty or too old
  "overload", // too much is under way already, so nobody was asked
] as const;
export type FailureKind = (typeof failureKinds)[number];

/** Something took longer than it may. */
export class TimeLimit extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms / 1_000} s`);
    this.name = "TimeLimit";
  }
}

/** The message of an error. A host whose addresses all failed (Node's AggregateError has none) is described by the first. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return describeFailure(error.errors[0]);
  return error.message;
}

/** The kind of an error that kept somebody from being asked. */
export function classifyFailure(error: unknown): FailureKind {
  return error instanceof TimeLimit ? "timeout" : "error";
}

/** The kind of an HTTP answer that says neither yes nor no. */
export function failureOfStatus(status: number): FailureKind {
  return status === 429 ? "throttled" : "answer";
}
