/** What went wrong, in a few words for a log. */

/**
 * The message of an error. An operation that was aborted is described by what aborted it; a host whose addresses all
 * failed (Node's AggregateError has no message) by the first.
 */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError" && error.cause instanceof Error) return error.cause.message;
  if (error instanceof AggregateError) return describeFailure(error.errors[0]);
  return error.message;
}
