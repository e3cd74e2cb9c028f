/**
 * Bootstrap DNS: the addresses of some names, for clients whose own DNS is broken. They ask any relay over HTTPS, by
 * address. Pure: names and a question in, an answer out.
 */
import { createHash } from "node:crypto";
import { isRolledOut } from "./rollout.ts";

/** What the last refresh has found out about a name. */
export interface ResolvedName {
  /** IPv4 and IPv6, in the order in which clients are to try them. */
  readonly addresses: readonly string[];
  /** Share of the askers that get them, from 0 to 1. Published names are for all. */
  readonly rollout: number;
}

export type ResolvedNames = ReadonlyMap<string, ResolvedName>;

/** Counts since they were created, named after derper's metrics `bootstrap_dns_…`. */
export interface BootstrapDnsCounters {
  requests: number;
  publishedHits: number;
  publishedMisses: number;
  unpublishedHits: number;
  unpublishedMisses: number;
  unpublishedPercentMisses: number;
  /** Different names that were asked for; derper forgets them all when they are more than 500. */
  queriedDomains: number;
}

const maxQueried = 500;
const noNames: ResolvedNames = new Map();

export class BootstrapDns {
  readonly counters: BootstrapDnsCounters = {
    requests: 0,
    publishedHits: 0,
    publishedMisses: 0,
    unpublishedHits: 0,
    unpublishedMisses: 0,
    unpublishedPercentMisses: 0,
    queriedDomains: 0,
  };
  readonly #random: () => number;
  readonly #queried = new Set<string>();
  #published = noNames;
  /** Empty until the first refresh, and for ever without published names. */
  #publishedText = "";
  #unpublished = noNames;

  /** @param random a number from 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** From now on everybody gets these, whatever they ask for. */
  publish(names: ResolvedNames): void {
    this.#published = names;
    this.#publishedText = render(names);
  }

  /** From now on who asks for one of these by name gets that one alone. */
  keepUnpublished(names: ResolvedNames): void {
    this.#unpublished = names;
  }

  /**
   * Answers a request.
   *
   * @param question the name that is asked for; empty for none
   * @param asker the address that asks; empty if it is not known
   * @returns JSON of name → addresses as Go's encoder writes it, or nothing at all
   */
  answer(question: string, asker: string): string {
    this.counters.requests++;
    if (question === "") return this.#publishedText;
    this.#remember(question);
    const unpublished = this.#findUnpublished(question, asker);
    if (unpublished !== undefined) return render(new Map([[question, unpublished]]));
    this.#countPublished(question);
    return this.#publishedText;
  }

  /** By digest: however long the questions are, 500 of them take no more room. */
  #remember(question: string): void {
    this.#queried.add(createHash("sha256").update(question).digest("base64"));
    if (this.#queried.size > maxQueried) this.#queried.clear();
    this.counters.queriedDomains = this.#queried.size;
  }

  #findUnpublished(question: string, asker: string): ResolvedName | undefined {
    const found = this.#unpublished.get(question);
    if (found === undefined || found.addresses.length === 0) return undefined;
    this.counters.unpublishedHits++;
    if (isRolledOut(found.rollout, asker, this.#random)) return found;
    this.counters.unpublishedPercentMisses++;
    return undefined;
  }

  /** As derper: what is not published counts as a miss of what is not to be, also a name that was held back. */
  #countPublished(question: string): void {
    const found = this.#published.get(question);
    if (found === undefined) this.counters.unpublishedMisses++;
    else if (found.addresses.length === 0) this.counters.publishedMisses++;
    else this.counters.publishedHits++;
  }
}

/** As Go's `json.MarshalIndent` with tabs: names in the order of their bytes, and `null` if not one was resolved. */
function render(names: ResolvedNames): string {
  if (names.size === 0) return "null";
  const sorted = [...names].sort(([one], [other]) => (one < other ? -1 : 1));
  const members = sorted.map(
    ([name, { addresses }]) => `\t${JSON.stringify(name)}: ${renderAddresses(addresses)}`,
  );
  return `{\n${members.join(",\n")}\n}`;
}

function renderAddresses(addresses: readonly string[]): string {
  if (addresses.length === 0) return "[]";
  return `[\n${addresses.map((address) => `\t\t"${address}"`).join(",\n")}\n\t]`;
}
