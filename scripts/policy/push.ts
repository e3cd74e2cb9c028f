/** How our part gets into a policy, and back out of it: read, merge, have it judged, write, and look. */
import { KitError } from "../../relay/errors.ts";
import { type DerpPart, type RegionKey } from "./derp-part.ts";
import { type Change, describeChanges } from "./diff.ts";
import { digestOf, type Keep, type KeptPush } from "./keep.ts";
import { isSame } from "./jwcc/tree.ts";
import { mergePolicy, type Merged, type Ours, ownPart, parsePolicy } from "./merge.ts";
import type { Held, PolicyPlace } from "./place.ts";

/** So often is merged anew because somebody else was faster. */
const maxRemerges = 3;

export interface Comparison extends Merged {
  readonly held: Held;
  readonly changes: readonly Change[];
}

export interface Pushed extends Pick<Comparison, "changes" | "adopted"> {
  /** What the policy service would rather have otherwise. */
  readonly warnings: readonly string[];
  /** Where the policy's text before is kept; undefined if there was nothing to change. */
  readonly previous: string | undefined;
}

/**
 * Reads the policy and merges, without changing anything.
 *
 * @throws KitError `policy-invalid`, `policy-conflict`, and those of the place
 */
export async function compare(place: PolicyPlace, ours: Ours, signal: AbortSignal): Promise<Comparison> {
  const held = await place.read(signal);
  const policy = parsePolicy(held.text, place.name);
  const merged = mergePolicy(policy, ours, place.name);
  return { ...merged, held, changes: describeChanges(policy.part, ours.wanted, ours.owned) };
}

/**
 * Pushes our part.
 *
 * @throws KitError; nothing was changed then, unless it is `policy-unconfirmed`
 */
export async function push(place: PolicyPlace, keep: Keep, ours: Ours, signal: AbortSignal): Promise<Pushed> {
  const { wanted, owned } = ours;
  for (let merges = 0; merges <= maxRemerges; merges++) {
    const { held, text, changes, adopted } = await compare(place, ours, signal);
    if (text === held.text) {
      await keep.settle(ownPart(wanted, owned), owned);
      return { changes, adopted, warnings: [], previous: undefined };
    }
    const warnings = await place.validate(text, signal);
    await settleDoubt(keep, ours, parsePolicy(held.text, place.name).part);
    const next = { text, part: ownPart(wanted, owned), owned };
    const previous = await replace(place, keep, held, next, signal);
    if (previous !== undefined) return { changes, adopted, warnings, previous };
  }
  throw new KitError("policy-contended", {
    where: place.name,
    message: `Somebody else changed the policy each of ${maxRemerges + 1} times, so that nothing of ours was written.`,
  });
}

/**
 * Puts back the text from before the last push that changed something.
 *
 * @throws KitError `nothing-to-revert`, or `policy-conflict` if the policy is not as that push left it
 */
export async function revert(place: PolicyPlace, keep: Keep, signal: AbortSignal): Promise<KeptPush> {
  const held = await place.read(signal);
  const kept = await findPush(keep, held.text);
  if (kept === undefined) throw new KitError("nothing-to-revert", { where: place.name });
  if (digestOf(held.text) !== kept.pushed) throw editedSince(place, kept);
  await place.validate(kept.before, signal);
  const { owned } = kept;
  const part = ownPart(parsePolicy(kept.before, kept.file).part, owned);
  const previous = await replace(place, keep, held, { text: kept.before, part, owned }, signal);
  if (previous === undefined) throw editedSince(place, kept);
  await keep.forget(kept);
  // Taking back is no push: its text is kept, and taking back again goes further back.
  await keep.forget({ ...kept, file: previous });
  return kept;
}

/** If there was doubt whether the last push arrived, the policy tells: the next push leaves a doubt of its own. */
async function settleDoubt(keep: Keep, { bases, owned }: Ours, live: DerpPart): Promise<void> {
  if (bases.length < 2) return;
  const noOmit = { omitDefaultRegions: undefined, scores: new Map() };
  const arrived = bases.findLast(
    (base) => describeChanges({ ...live, ...noOmit }, { ...base, ...noOmit }, owned).length === 0,
  );
  if (arrived !== undefined) await keep.settle(ownPart(arrived, owned), owned);
}

/** The last push that the policy differs from what it was before: one before it did not arrive. */
async function findPush(keep: Keep, text: string): Promise<KeptPush | undefined> {
  for await (const kept of keep.listPushes()) if (kept.before !== text) return kept;
  return undefined;
}

function editedSince({ name }: PolicyPlace, { file }: KeptPush): KitError {
  return new KitError("policy-conflict", {
    where: name,
    message:
      "The policy was edited since the last push from here, and taking that back would undo the edit as well.",
    fix: `Push the map that you want. The text from before the push is ${file}.`,
  });
}

interface Next {
  readonly text: string;
  /** What of it is ours. */
  readonly part: DerpPart;
  readonly owned: ReadonlySet<RegionKey>;
}

/**
 * Writes a text in the place of another, and looks whether it is there.
 *
 * @returns where the text before is kept; undefined if it is no longer the one that was read
 */
async function replace(
  place: PolicyPlace,
  keep: Keep,
  held: Held,
  { text, part, owned }: Next,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const previous = await keep.begin(held.text, text, part, owned);
  const outcome = await place.write(text, held.version, signal).catch(async (error: unknown) => {
    // Of a KitError it is sure that nothing was written; of being stopped half-way it is not.
    if (error instanceof KitError) await keep.withdraw(previous);
    throw error;
  });
  if (outcome.kind === "changed") {
    await keep.withdraw(previous);
    return undefined;
  }
  const doubt = outcome.kind === "unknown" ? outcome.error : undefined;
  const live = await place.read(signal).catch((error: unknown) => {
    throw error instanceof KitError ? unconfirmed(place, previous, doubt ?? error) : error;
  });
  if (doubt !== undefined && live.version === held.version && live.text === held.text) {
    await keep.withdraw(previous);
    throw new KitError(doubt.code, {
      ...(doubt.where === undefined ? {} : { where: doubt.where }),
      message: `${doubt.message} The policy is as it was.`,
      fix: doubt.fix,
    });
  }
  if (!hasPart(place, live, part, owned)) throw unconfirmed(place, previous, doubt);
  await keep.confirm(previous, live.text, part, owned);
  return previous;
}

/** Whether a policy has our part as it was written, whatever else was edited in it meanwhile. */
function hasPart(
  { name }: PolicyPlace,
  { text }: Held,
  part: DerpPart,
  owned: ReadonlySet<RegionKey>,
): boolean {
  const live = parsePolicy(text, name).part;
  const omit = part.omitDefaultRegions;
  return (
    describeChanges(
      ownPart(live, owned),
      { ...part, omitDefaultRegions: undefined, scores: live.scores },
      owned,
    ).length === 0 &&
    [...part.scores].every(([id, score]) => isSame(score, live.scores.get(id))) &&
    (omit === undefined || isSame(omit, live.omitDefaultRegions))
  );
}

function unconfirmed({ name }: PolicyPlace, previous: string, doubt: KitError | undefined): KitError {
  const what =
    doubt === undefined
      ? "What was written is not what is there now."
      : "It is not known whether the push arrived.";
  return new KitError("policy-unconfirmed", {
    where: name,
    message: `${what} The text from before it is ${previous}.`,
    ...(doubt === undefined ? {} : { cause: doubt }),
  });
}
