/** Keeps bootstrap DNS fresh: looks its names up at the start and every 10 minutes. Nothing that fails ends it. */
import timers from "node:timers/promises";
import type { RelayConfig } from "../config/schema.ts";
import type { BootstrapDns, ResolvedNames } from "./bootstrap-dns.ts";
import { type NameEntry, parseNames } from "./names.ts";
import { codeOf, type Failure, resolveNames } from "./resolve-names.ts";
import { openResolver, type ResolverOptions } from "./resolver.ts";

export interface RefreshOptions {
  /** Is given what is found. */
  readonly bootstrapDns: BootstrapDns;
  readonly config: Pick<RelayConfig, "bootstrapDnsNames" | "unpublishedBootstrapDnsNames">;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  readonly log: (line: string) => void;
  /** Where to look, if not where the machine's files say. */
  readonly resolver?: Omit<ResolverOptions, "signal">;
}

/** From the end of a refresh to the next, and how long one may take. */
const pauseMs = 600_000;
const limitMs = 60_000;

/** Starts with a first refresh, which nobody waits for. Does nothing without names. */
export function startRefreshing(options: RefreshOptions): AsyncDisposable {
  const stopping = new AbortController();
  const lists = [publishedList(options), unpublishedList(options)];
  const running = Promise.all(lists.map((list) => keepFresh(list, options, stopping.signal)));
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

/** The names of one option. */
interface NameList {
  readonly entries: readonly NameEntry[];
  /** What the log calls an entry. */
  readonly title: (failure: Failure) => string;
  readonly use: (names: ResolvedNames) => void;
}

/** The addresses are for everybody: a percentage behind a slash has no meaning. */
function publishedList({ config, bootstrapDns }: RefreshOptions): NameList {
  return {
    entries: parseNames(config.bootstrapDnsNames).map((entry) => ({ ...entry, rolloutName: undefined })),
    title: ({ entry }) => JSON.stringify(entry.name),
    use: (names) => bootstrapDns.publish(names),
  };
}

/** Who reads the log need not be one who may know the names. */
function unpublishedList({ config, bootstrapDns }: RefreshOptions): NameList {
  return {
    entries: parseNames(config.unpublishedBootstrapDnsNames),
    title: ({ index }) => `unpublished name ${index + 1}`,
    use: (names) => bootstrapDns.keepUnpublished(names),
  };
}

async function keepFresh(list: NameList, options: RefreshOptions, signal: AbortSignal): Promise<void> {
  if (list.entries.length === 0) return;
  while (!signal.aborted) {
    await refresh(list, options, signal).catch((error: unknown) => {
      options.log(`bootstrap DNS: no refresh (${codeOf(error)})`);
    });
    await timers.setTimeout(pauseMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** What cannot be looked up is left out, also if it could be before: so does derper. */
async function refresh(list: NameList, options: RefreshOptions, stopping: AbortSignal): Promise<void> {
  const limit = new AbortController();
  const late = new DOMException("the refresh took too long", "TimeoutError");
  const timer = setTimeout(() => limit.abort(late), limitMs).unref();
  try {
    const signal = AbortSignal.any([stopping, limit.signal]);
    const resolver = await openResolver({ ...options.resolver, signal });
    const { names, failures } = await resolveNames(list.entries, resolver, options.random);
    if (stopping.aborted) return;
    list.use(names);
    for (const failure of failures) options.log(renderFailure(failure, list.title(failure)));
  } finally {
    clearTimeout(timer);
  }
}

function renderFailure({ what, why }: Failure, title: string): string {
  const meaning = what === "addresses" ? "left out until the next refresh" : "nobody gets it";
  return `bootstrap DNS: no ${what} of ${title} (${why}); ${meaning}`;
}
