/** Looks up the names of one option. */
import type { ResolvedName, ResolvedNames } from "./bootstrap-dns.ts";
import type { NameEntry } from "./names.ts";
import type { NameResolver } from "./resolver.ts";
import { parseRollout } from "./rollout.ts";

export interface Resolution {
  readonly names: ResolvedNames;
  readonly failures: readonly Failure[];
}

/** What could not be found out. Without addresses a name is left out; without a percentage nobody gets it. */
export interface Failure {
  readonly entry: NameEntry;
  /** Place in the list, from 0. */
  readonly index: number;
  readonly what: "addresses" | "percentage";
  /** A code such as ENOTFOUND, or words; never a name. */
  readonly why: string;
}

/** Names that are looked up at the same time: their DNS server is not to be flooded. */
const atOnce = 8;

/**
 * Looks up all entries; of entries with the same name the last one that has addresses counts.
 *
 * @param random a number from 0 to below 1: clients are not all to begin with the same address, or the same family
 */
export async function resolveNames(
  entries: readonly NameEntry[],
  resolver: NameResolver,
  random: () => number,
): Promise<Resolution> {
  const found: (readonly [name: string, resolved: ResolvedName] | undefined)[] = [];
  const failures: (Failure | undefined)[] = [];
  const waiting = entries.entries();
  const work = async (): Promise<void> => {
    for (const [index, entry] of waiting) {
      const fail = (what: Failure["what"], why: string): void => {
        failures[index] = { entry, index, what, why };
      };
      try {
        const addresses = shuffle(await resolver.addresses(entry.name), random);
        const rollout = await findRollout(entry, resolver, (why) => fail("percentage", why));
        found[index] = [entry.name, { addresses, rollout }];
      } catch (error) {
        fail("addresses", codeOf(error));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { names: new Map(found.filter(isThere)), failures: failures.filter(isThere) };
}

/** The code of an error, or its kind: its message may hold a name. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

async function findRollout(
  { rolloutName }: NameEntry,
  resolver: NameResolver,
  fail: (why: string) => void,
): Promise<number> {
  if (rolloutName === undefined) return 1;
  try {
    const rollout = parseRollout(await resolver.texts(rolloutName));
    if (rollout === undefined) fail("no whole number from 0 to 100");
    return rollout ?? 0;
  } catch (error) {
    fail(codeOf(error));
    return 0;
  }
}

/** Both lists have a place for each entry, and a gap where there is nothing to say. */
function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function shuffle<T>(items: readonly T[], random: () => number): readonly T[] {
  const shuffled: T[] = [];
  for (const item of items) shuffled.splice(Math.floor(random() * (shuffled.length + 1)), 0, item);
  return shuffled;
}
