/**
 * The conformance suite: each test is one statement about a relay, and runs against derper and against ours.
 *
 * The numbers and sentences are those of the list of statements about derper and its clients. `Q1` to `Q18` are the
 * repairs, where ours knowingly does otherwise; everything else has to be the same.
 */
import { after, describe, test, type TestContext } from "node:test";
import process from "node:process";
import { renderDifference, type Repair } from "../../scripts/conformance/repairs.ts";
import {
  createFiles,
  defaultHostName,
  type RelayFiles,
  type RelayKind,
  relayKinds,
  type RelayOptions,
  type RelayUnderTest,
  removeFiles,
  startRelayUnderTest,
  whyMissing,
} from "./relay-under-test.ts";

/** One that takes longer is stuck. */
const [quickMs, slowMs] = [60_000, 300_000];

/** What a statement's test is given. */
export interface Rig {
  readonly t: TestContext;
  readonly kind: RelayKind;
  /** Running, with the flags that every relay gets, unless the statement asks for its own. */
  readonly relay: RelayUnderTest;
  /** What a repair, or one of our own limits, makes different. */
  readonly differs: <T>(repair: Repair, is: { readonly derper: T; readonly ours: T }) => T;
}

export interface StatementOptions {
  /** A relay of its own with these, in place of the one that a file's statements share. */
  readonly relay?: RelayOptions & { readonly hostName?: string };
  /** Why ours does not pass yet. The test still runs; it is listed, and does not fail the suite. */
  readonly todo?: string | Partial<Record<RelayKind, string>>;
  /** Why this machine cannot try it. */
  readonly skip?: string | undefined;
  /** It takes real time: it runs with DERPKIT_SLOW=1 only. */
  readonly slow?: boolean;
}

/** Registers one test per relay. @param title the statement's number and sentence */
export function statement(
  title: string,
  run: (rig: Rig) => Promise<void>,
  options: StatementOptions = {},
): void {
  perRelay(title, options, async (t, kind) => {
    const relay = options.relay === undefined ? await shared(kind) : await ownRelay(t, kind, options.relay);
    const differs: Rig["differs"] = (repair, is) => {
      if (kind !== "derper") return is.ours;
      t.diagnostic(renderDifference(repair));
      return is.derper;
    };
    await run({ t, kind, relay, differs });
  });
}

/** Registers one test per relay that starts, or fails to start, its relays itself. */
export function perRelay(
  title: string,
  { todo = {}, slow = false, skip: unable }: Omit<StatementOptions, "relay">,
  run: (t: TestContext, kind: RelayKind) => Promise<void>,
): void {
  const hurried = slow && process.env["DERPKIT_SLOW"] !== "1" && "takes real time: set DERPKIT_SLOW=1";
  const missing = typeof todo === "string" ? { node: todo, bun: todo } : todo;
  const timeout = slow ? slowMs : quickMs;
  describe(title, { concurrency: true, timeout }, () => {
    for (const kind of relayKinds) {
      const skip = hurried || (unable ?? whyMissing(kind) ?? false);
      test(kind, { skip, timeout, todo: missing[kind] ?? false }, (t) => run(t, kind));
    }
  });
}

/** Lists a statement that ours does not implement, or not yet. @param why in a few words */
export function outstanding(title: string, why: string): void {
  describe(title, () => {
    for (const kind of relayKinds) if (kind !== "derper") test(kind, { skip: why });
  });
}

/** Starts a relay that stops with the test. */
export async function ownRelay(
  t: TestContext,
  kind: RelayKind,
  { hostName = defaultHostName, ...options }: RelayOptions & { readonly hostName?: string } = {},
): Promise<RelayUnderTest> {
  const relay = await startRelayUnderTest(kind, await ownFiles(t, hostName), options);
  t.after(() => relay.stop());
  return relay;
}

/** Makes files that are gone after the test. */
export async function ownFiles(t: TestContext, hostName = defaultHostName): Promise<RelayFiles> {
  const files = await createFiles(hostName);
  t.after(() => removeFiles(files));
  return files;
}

const relays = new Map<RelayKind, Promise<RelayUnderTest>>();
let files: Promise<RelayFiles> | undefined;

/** The relay that all statements of a file share; each kind is given the same files. */
export function shared(kind: RelayKind): Promise<RelayUnderTest> {
  const relay = relays.get(kind) ?? startShared(kind);
  relays.set(kind, relay);
  return relay;
}

async function startShared(kind: RelayKind): Promise<RelayUnderTest> {
  files ??= createFiles();
  return startRelayUnderTest(kind, await files);
}

after(async () => {
  for (const relay of await Promise.allSettled(relays.values())) {
    if (relay.status === "fulfilled") await relay.value.stop();
  }
  if (files !== undefined) await removeFiles(await files);
});
