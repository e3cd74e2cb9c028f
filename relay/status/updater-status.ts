/**
 * What a node's updater says of itself, in a file that it writes and the relay shows. Pure, and on its own, so that both
 * read the same thing here.
 */
import * as v from "valibot";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Unknown members are left out: an updater may be newer than the relay. */
export const updaterStatusSchema = v.object({
  format: v.literal(1),
  /**
   * `current`: what the delivery asks for runs. `updating`: it is being fetched or tried. `refused`: it is not taken, and
   * what ran before goes on. `unreachable`: the delivery cannot be asked.
   */
  state: v.picklist(["current", "updating", "refused", "unreachable"]),
  /** The highest that was accepted; null before the first. */
  sequence: v.nullable(count),
  /** The same of secrets that are sealed to the relay; null where there are none, or by another way. */
  secrets: v.optional(v.nullable(count), null),
  /** Of the release that runs, and the SHA-256 of its relay, lower-case hex; null if none does. */
  version: v.nullable(v.pipe(v.string(), v.maxLength(200))),
  digest: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  /** Why the delivery is not taken; empty if it is. A code is one of relay/errors.ts, and public: /healthz shows it. */
  refusals: v.array(
    v.object({
      code: v.pipe(v.string(), v.regex(/^[a-z\d]+(?:-[a-z\d]+)*$/), v.maxLength(64)),
      message: v.string(),
    }),
  ),
  /** When this was written, in UTC. */
  at: v.pipe(v.string(), v.isoTimestamp()),
});

export type UpdaterStatus = v.InferOutput<typeof updaterStatusSchema>;

/** What everybody may know. */
export interface UpdaterSummary {
  /** `unknown` if there is no file, or none that can be read. */
  readonly state: UpdaterStatus["state"] | "unknown";
  readonly sequence: number | null;
  /** The sequence of its sealed secrets. */
  readonly secrets: number | null;
  /** Of the first refusal. */
  readonly code: string | null;
}

/** Reads the file's text; undefined for what is no status. */
export function parseUpdaterStatus(text: string): UpdaterStatus | undefined {
  try {
    const result = v.safeParse(updaterStatusSchema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Leaves out what is not for everybody: a refusal's message may name places and files. */
export function summariseUpdater(status: UpdaterStatus | undefined): UpdaterSummary {
  if (status === undefined) return { state: "unknown", sequence: null, secrets: null, code: null };
  const { state, sequence, secrets, refusals } = status;
  return { state, sequence, secrets, code: refusals[0]?.code ?? null };
}

/** A status as metrics show it. */
export interface UpdaterCounts {
  readonly sequence: number | undefined;
  readonly refused: boolean;
  /** Since the file was written. */
  readonly ageSeconds: number;
}

/** @param now milliseconds since 1970 */
export function countUpdater(status: UpdaterStatus | undefined, now: number): UpdaterCounts | undefined {
  if (status === undefined) return undefined;
  return {
    sequence: status.sequence ?? undefined,
    refused: status.state === "refused",
    ageSeconds: (now - Date.parse(status.at)) / 1_000,
  };
}
