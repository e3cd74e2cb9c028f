/**
 * What an updater must not forget. It lies on the node's identity volume, so that a machine that is built anew accepts
 * no manifest that is older than what the node had.
 *
 * Each function but the codec is a step from one state to the next.
 */
import * as v from "valibot";
import { renderCanonicalJson } from "./canonical-json.ts";
import { trustedKeysSchema } from "./manifest.ts";

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const stateSchema = v.object({
  format: v.literal(1),
  /** The highest sequence that was accepted, and the SHA-256 of that manifest: nobody can replace it by another. */
  accepted: v.optional(v.object({ sequence: v.pipe(v.number(), v.safeInteger()), sha256: digest })),
  /**
   * The keys that the accepted manifest named, and the SHA-256 of those that the machine was booted with at the time
   * (trusted-keys.ts). Stage 0 reads them as well.
   */
  keys: v.optional(v.object({ boot: digest, trusted: trustedKeysSchema })),
  /** The release that was healthy last, which is gone back to. */
  good: v.optional(digest),
  /** The one before it; its files are kept. */
  previous: v.optional(digest),
  /** The release that is being tried. It is still here at a start only if the updater was killed meanwhile. */
  trial: v.optional(v.object({ release: digest, attempts: v.pipe(v.number(), v.safeInteger()) })),
  /** The release that failed last, and why. */
  failed: v.optional(v.object({ release: digest, reason: v.string() })),
});

export type UpdaterState = v.InferOutput<typeof stateSchema>;

/** The state of a node that never had a manifest. */
export const initialState: UpdaterState = { format: 1 };

/**
 * Keeps in mind that `accepted` was accepted and asks for `release`, and what it leaves of the keys. A trial or failure of
 * any other release is over: to have one tried again that failed, another is published in between.
 */
export function acceptManifest(
  state: UpdaterState,
  accepted: NonNullable<UpdaterState["accepted"]>,
  release: string,
  keys: UpdaterState["keys"],
): UpdaterState {
  const trial = state.trial?.release === release ? state.trial : undefined;
  const failed = state.failed?.release === release ? state.failed : undefined;
  return { ...state, accepted, keys, trial, failed };
}

/** Counts an attempt before it is made: one that takes the machine down leaves no other trace. */
export function beginTrial(state: UpdaterState, release: string): UpdaterState {
  const attempts = state.trial?.release === release ? state.trial.attempts + 1 : 1;
  return { ...state, trial: { release, attempts } };
}

/** The release that was tried is healthy. */
export function passTrial(state: UpdaterState, release: string): UpdaterState {
  return { ...forgetFailure(state), good: release, previous: state.good ?? state.previous };
}

/** The release that was tried is not healthy; it is not tried again. */
export function failTrial(state: UpdaterState, release: string, reason: string): UpdaterState {
  return { ...dropTrial(state), failed: { release, reason } };
}

/** The trial ended without a verdict. */
export function dropTrial(state: UpdaterState): UpdaterState {
  return { ...state, trial: undefined };
}

/** Whatever failed may be tried again. */
export function forgetFailure(state: UpdaterState): UpdaterState {
  return { ...dropTrial(state), failed: undefined };
}

/** The good release is no longer on this machine. */
export function loseGood(state: UpdaterState): UpdaterState {
  return { ...state, good: undefined };
}

/** The bytes of updater.json. */
export function encodeState(state: UpdaterState): Buffer {
  return Buffer.from(renderCanonicalJson(state));
}

/**
 * Reads updater.json.
 *
 * @throws Error if the bytes are anything else; to begin anew instead would let old manifests in
 */
export function decodeState(bytes: Uint8Array): UpdaterState {
  return v.parse(stateSchema, JSON.parse(Buffer.from(bytes).toString()));
}
