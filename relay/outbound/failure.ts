/** What can go wrong when somebody is asked, in a few words for a log. */

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
