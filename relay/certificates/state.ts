/**
 * What is kept about the certificate of one identifier, beside the certificate: `derpkit/<identifier>.json`. Pure.
 *
 * All times are unix milliseconds. The steps from one state to the next are in steps.ts.
 */
import * as v from "valibot";
import { outcomes } from "./budget.ts";
import { failureKinds } from "./failure-kinds.ts";

/** What `Date` can show. */
const time = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8.64e15));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const stateSchema = v.object({
  version: v.literal(1),
  identifier: v.string(),
  /** What the attempts were made with; see `forSettings`. */
  settings: v.string(),
  /** Orders that a limit may still count, oldest first. */
  attempts: v.array(
    v.object({ at: time, directory: v.string(), outcome: v.picklist(outcomes), replaces: v.boolean() }),
  ),
  /** The order that is under way. It is still here at a start only if the relay ended meanwhile. */
  inFlight: v.optional(
    v.object({
      at: time,
      /** The URL of the CA's directory. */
      directory: v.string(),
      staging: v.boolean(),
      /** The id of the certificate that the order names as the one that it replaces. */
      replaces: v.optional(v.string()),
      /** Made though the check before it failed. */
      forced: v.boolean(),
      /** Made because the CA advised it, ahead of the certificate's own time. */
      advised: v.boolean(),
      finalizing: v.boolean(),
    }),
  ),
  /** Failures in a row, of production and staging together; the ladder's rung. */
  failures: count,
  lastFailure: v.optional(v.object({ kind: v.picklist(failureKinds), message: v.string(), at: time })),
  /** No attempt is made earlier. Only after failures. */
  nextAttempt: v.optional(v.object({ at: time, why: v.string() })),
  lastSuccess: v.optional(
    v.object({ at: time, certificate: v.string(), directory: v.string(), advised: v.boolean() }),
  ),
  /** An order has to succeed at the staging CA before production is asked again. */
  stagingFirst: v.boolean(),
  /** The id of a certificate that the CA does not take as the one to replace. */
  irreplaceable: v.optional(v.string()),
  /** What the CA advises (RFC 9773) for the certificate with this id. */
  renewalInfo: v.optional(
    v.object({
      certificate: v.string(),
      window: v.optional(v.object({ start: time, end: time })),
      /** The time in the window that was picked. */
      picked: v.optional(time),
      askAt: time,
      /** Questions in a row that failed. */
      failures: count,
    }),
  ),
  /** The check of what the CA would see. */
  check: v.optional(
    v.object({
      at: time,
      /** Failures in a row; 0: it passed. */
      failures: count,
      /** Why it failed last; a clause. */
      fault: v.optional(v.string()),
    }),
  ),
  /** When an order was made last though the check had failed. */
  forcedAt: v.optional(time),
});

export type KeeperState = v.InferOutput<typeof stateSchema>;

/** The state of an identifier that nothing is known of. */
export function initialState(identifier: string, settings: string): KeeperState {
  return { version: 1, identifier, settings, attempts: [], failures: 0, stagingFirst: false };
}

/** The text of the file; people may read it. */
export function renderState(state: KeeperState): string {
  return `${JSON.stringify(state, undefined, 2)}\n`;
}

/**
 * Reads the text of the file.
 *
 * @returns the state, or as `fault` why it is none of this identifier, as a clause
 */
export function parseState(
  text: string,
  identifier: string,
): { readonly state: KeeperState } | { readonly fault: string } {
  const result = v.safeParse(stateSchema, parseJson(text));
  if (!result.success) {
    const [issue] = result.issues;
    return { fault: `is not in the format of this version (${v.getDotPath(issue) ?? "all of it"})` };
  }
  if (result.output.identifier !== identifier) return { fault: `is about ${result.output.identifier}` };
  return { state: result.output };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
