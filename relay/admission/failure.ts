/** What kept an answer away: its kind, for a metric. */
import { TimeLimit } from "../outbound/failure.ts";

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

/** The kind of an error that kept somebody from being asked. */
export function classifyFailure(error: unknown): FailureKind {
  return error instanceof TimeLimit ? "timeout" : "error";
}

/** The kind of an HTTP answer that says neither yes nor no. */
export function failureOfStatus(status: number): FailureKind {
  return status === 429 ? "throttled" : "answer";
}
