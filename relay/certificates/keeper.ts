/**
 * Looks after one certificate: shows what is stored, and gets a new one when decision.ts says so. Nothing that fails here
 * ends it, and what it has it shows for as long as it has nothing better.
 *
 * Everything but waiting is done under the folder's lock, and decided again once the lock is held: another process may
 * have done it meanwhile.
 */
import type { AcmeClient, ChallengeMethod } from "../acme/client.ts";
import { certificateId } from "../acme/certificate-id.ts";
import { AcmeFailure } from "../acme/failure.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { renderError } from "../errors.ts";
import type { PlannedCertificate } from "./acme-plan.ts";
import { getCertificate } from "./attempt.ts";
import type { Challenges } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import {
  decide,
  type Decision,
  outlook,
  type Planned,
  type Setting,
  type StoredCertificate,
} from "./decision.ts";
import { acquire, type Lock } from "./lock.ts";
import type { CertificateStatus } from "./report.ts";
import type { SelfCheck } from "./self-check.ts";
import type { KeeperState } from "./state.ts";
import * as steps from "./steps.ts";
import { describePair, type Store } from "./store.ts";

export interface KeeperOptions {
  readonly planned: PlannedCertificate;
  readonly store: Store;
  readonly setting: Setting;
  /** The same text for the same settings; stored, so no secret. */
  readonly fingerprint: string;
  /** Opens the account of a directory. @throws KitError if its key cannot be had */
  readonly clientOf: (directory: "production" | "staging") => Promise<AcmeClient>;
  readonly challenges: Challenges;
  /** Asks this machine what the CA will ask. */
  readonly check: (planned: PlannedCertificate, signal: AbortSignal) => Promise<SelfCheck>;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: (line: string) => void;
  /** Told when another certificate is shown from now on. */
  readonly changed: () => void;
}

export interface Keeper extends AsyncDisposable {
  /** What is shown now; undefined while there is none. */
  readonly pair: CertificatePair | undefined;
  /** Resolves once there is something to show, or with undefined when the keeper ends. */
  readonly first: Promise<CertificatePair | undefined>;
  readonly status: CertificateStatus;
  /** Looks now: at the files, and at what the CA advises. */
  wake(): void;
}

interface Unwritten {
  readonly pair?: CertificatePair | undefined;
  readonly state?: KeeperState | undefined;
}

type Order = Extract<Decision, { kind: "order" }>;

/** How often to look whether another process has renewed, while there is nothing to do. */
const lookEveryMs = 60_000;

/** What comes so soon tells of itself. */
const tooSoonToTellMs = 10_000;

/** Starts to look after a certificate. */
export function startKeeper(options: KeeperOptions): Keeper {
  const { planned, store, setting, clock, random, log, challenges } = options;
  const [{ value: name }] = planned.identifiers;
  const stopping = new AbortController();
  const { signal } = stopping;
  const first = Promise.withResolvers<CertificatePair | undefined>();
  let waking = new AbortController();
  let state: KeeperState | undefined;
  let shown: { readonly pair: CertificatePair; readonly stored: StoredCertificate } | undefined;
  /** What could not be written, and has to be. */
  let unwritten: Unwritten = {};
  let next: Planned | undefined;
  let [issued, failed] = [0, 0];
  /** By which methods the last check reached this machine. */
  let reached: readonly ChallengeMethod[] = [];
  /** What was said last of each matter: the same is not said again. */
  const said = new Map<string, string>();

  const running = run();
  return {
    get pair() {
      return shown?.pair;
    },
    first: first.promise,
    get status() {
      const overdueAt = shown && state && outlook(state, shown.stored, clock.now()).overdue;
      const { failures = 0, lastFailure } = state ?? {};
      return {
        name,
        notAfter: shown?.stored.notAfter,
        renewal: { overdueAt, next, failures, lastFailure, issued, failed },
      };
    },
    wake: () => waking.abort(),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      waking.abort();
      await running;
      first.resolve(undefined);
    },
  };

  async function run(): Promise<void> {
    let isCurious = true;
    while (!signal.aborted) {
      try {
        await turn(isCurious);
        isCurious = waking.signal.aborted;
        if (isCurious) waking = new AbortController();
      } catch (error) {
        if (signal.aborted) return;
        // The files: without them nothing may be tried. What is shown is shown still.
        sayOnce("files", `nothing can be done for now. ${renderError(error)}${stillShown()}`);
        await pause(lookEveryMs);
      }
    }
  }

  /** @param isCurious asks what the CA advises though it has said when to ask again */
  async function turn(isCurious: boolean): Promise<void> {
    await refresh(isCurious);
    const decision = decideNow();
    if (decision.kind === "wait") {
      next = decision.next;
      sayNext(decision.next);
      await pause(Math.min(decision.until - clock.now(), lookEveryMs));
      return;
    }
    await using lock = await takeLock();
    await refresh(isCurious);
    await keep(steps.afterInterruption(current(), clock.now(), random()));
    const again = decideNow();
    if (again.kind !== "wait") await act(again, lock);
  }

  async function takeLock(): Promise<Lock> {
    const waiting = new AbortController();
    void clock.sleep(tooSoonToTellMs, waiting.signal).then(
      () => sayOnce("lock", "waiting for another process that looks after the same folder"),
      () => {},
    );
    try {
      return await acquire(store.files.lock, signal, clock);
    } finally {
      waiting.abort();
    }
  }

  function decideNow(): Decision {
    const { lastSuccess } = current();
    // What another directory has issued is shown, and replaced: it may have been a trial.
    const isForeign =
      lastSuccess?.certificate === shown?.stored.id && lastSuccess?.directory !== setting.production;
    return decide(current(), isForeign ? undefined : shown?.stored, setting, clock.now());
  }

  function current(): KeeperState {
    if (state === undefined) throw new TypeError("nothing is decided before the state is read");
    return state;
  }

  /** Reads what another process may have changed, once all that had to be written is. */
  async function refresh(isCurious: boolean): Promise<void> {
    if (unwritten.pair !== undefined) await write({ pair: unwritten.pair });
    if (unwritten.pair === undefined) {
      const { pair, faults } = await store.readPair();
      sayOnce("pair", faults.join(" "));
      if (pair !== undefined) show(pair, describeStored(pair));
    }
    if (unwritten.state !== undefined) await write({ state: unwritten.state });
    if (unwritten.state === undefined) {
      const read = await store.readState(options.fingerprint);
      sayOnce("state", read.fault ?? "");
      state = read.state;
    }
    const { renewalInfo } = current();
    if (isCurious && renewalInfo !== undefined) {
      state = { ...current(), renewalInfo: { ...renewalInfo, askAt: 0 } };
    }
  }

  function show(pair: CertificatePair, stored: StoredCertificate): void {
    if (stored.id === shown?.stored.id) return;
    shown = { pair, stored };
    say(`shown from now on, valid until ${new Date(stored.notAfter).toISOString()}`);
    first.resolve(pair);
    options.changed();
  }

  async function act(decision: Exclude<Decision, { kind: "wait" }>, lock: Lock): Promise<void> {
    switch (decision.kind) {
      case "ask-renewal-info":
        return askRenewalInfo(decision.certificate);
      case "check":
        return check(decision.why);
      case "order":
        next = undefined;
        return order(decision, lock);
    }
  }

  async function askRenewalInfo(certificate: string): Promise<void> {
    try {
      const client = await options.clientOf("production");
      const answer = await client.renewalInfo(certificate, signal);
      const window = answer && { start: answer.start.getTime(), end: answer.end.getTime() };
      const told = { window, retryAfterMs: answer?.retryAfterMs };
      await keep(steps.afterRenewalInfo(current(), certificate, told, clock.now(), random()));
    } catch (error) {
      signal.throwIfAborted();
      const wait = error instanceof AcmeFailure ? error.retryAfterMs : undefined;
      await keep(steps.afterRenewalInfoFailure(current(), certificate, clock.now(), random(), wait));
    }
  }

  async function check(why: string): Promise<void> {
    const found = await options.check(planned, signal);
    signal.throwIfAborted();
    reached = found.reached;
    const fault = reached.length > 0 ? undefined : (found.fault ?? "nobody was asked");
    sayOnce("check", fault === undefined ? "" : `${why}, and this machine does not find itself: ${fault}`);
    await keep(steps.afterCheck(current(), fault, clock.now()));
  }

  async function order(decision: Order, lock: Lock): Promise<void> {
    const where =
      decision.directory === "production"
        ? new URL(decision.url).host
        : `${new URL(decision.url).host}, as a trial`;
    say(`asking ${where}: ${decision.why}`);
    try {
      await store.probe();
      const client = await options.clientOf(decision.directory);
      const pair = await getCertificate({
        client,
        identifiers: planned.identifiers,
        profile: planned.profile,
        replaces: decision.replaces,
        methods: [...planned.methods].toSorted(
          (a, b) => Number(reached.includes(b)) - Number(reached.includes(a)),
        ),
        challenges,
        begin: async () => {
          if (!(await lock.stillHeld())) throw new Error("another process took over the folder");
          await keep(steps.beginOrder(current(), decision, clock.now()), "needed");
        },
        finalizing: () => keep(steps.beginFinalizing(current()), "needed"),
        step: say,
        now: () => clock.now(),
        signal,
      });
      await finish(decision, pair);
    } catch (error) {
      signal.throwIfAborted();
      await fail(error);
    }
  }

  async function finish({ directory }: Order, pair: CertificatePair): Promise<void> {
    if (directory === "staging") {
      say("the trial succeeded");
      return keep(steps.afterSuccess(current(), "", clock.now()));
    }
    issued++;
    const stored = describeStored(pair);
    await write({ pair }); // First: a certificate that nobody has stored is lost with the process.
    show(pair, stored);
    await keep(steps.afterSuccess(current(), stored.id, clock.now()));
  }

  async function fail(error: unknown): Promise<void> {
    failed++;
    const failure =
      error instanceof AcmeFailure ? error : { kind: "storage" as const, message: renderError(error) };
    await keep(steps.afterFailure(current(), failure, setting.staging !== undefined, clock.now(), random()));
    say(`${failure.message}${stillShown()}`);
    said.delete("next");
  }

  /**
   * Goes on from this state, and writes it down.
   *
   * @throws KitError if it cannot be written but has to be
   */
  async function keep(changed: KeeperState, how: "needed" | "if possible" = "if possible"): Promise<void> {
    if (changed === state) return;
    state = changed;
    await write({ state: changed }, how);
  }

  /** What cannot be written is tried again at each turn; until then what is in memory counts. */
  async function write(
    { pair, state: written }: Unwritten,
    how: "needed" | "if possible" = "if possible",
  ): Promise<void> {
    try {
      if (pair !== undefined) await store.writePair(pair);
      if (written !== undefined) await store.writeState(written);
      unwritten = { ...unwritten, ...(pair && { pair: undefined }), ...(written && { state: undefined }) };
    } catch (error) {
      unwritten = { ...unwritten, ...(pair && { pair }), ...(written && { state: written }) };
      if (how === "needed") throw error;
      sayOnce("store", `not stored, which is tried again: ${renderError(error)}`);
    }
  }

  async function pause(ms: number): Promise<void> {
    await clock.sleep(Math.max(ms, 0), AbortSignal.any([signal, waking.signal])).catch(() => {});
  }

  /** Said again when something else is the reason; another count or another minute is not. */
  function sayNext({ at, why }: Planned): void {
    const reason = why.replaceAll(/\d+/g, "#");
    if (said.get("next") === reason || at - clock.now() < tooSoonToTellMs) return;
    said.set("next", reason);
    say(`the certificate authority is asked next at ${new Date(at).toISOString()}: ${why}`);
  }

  /** @param text empty if there is nothing to say any more */
  function stillShown(): string {
    return shown === undefined ? "" : " What is shown is shown still.";
  }

  function sayOnce(matter: string, text: string): void {
    if (text !== "" && said.get(matter) !== text) say(text);
    said.set(matter, text);
  }

  function say(text: string): void {
    log(`certificate of ${name}: ${text}`);
  }
}

/** An id that the CA knows as well, if the certificate has one. */
function describeStored(pair: CertificatePair): StoredCertificate {
  const { digest, ...lifetime } = describePair(pair);
  return { ...lifetime, id: certificateId(pair.chain) ?? digest };
}
