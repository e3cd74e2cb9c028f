/**
 * Keeps one node at what its region's signed manifest asks for: polls, verifies, swaps, checks, goes back.
 *
 * What is trusted is a key, not a place. Whoever can write to the delivery address can withhold a release, and nothing
 * else: not alter one, not bring an old one back, not give a node what was signed for another.
 */
import { setTimeout } from "node:timers/promises";
import { KitError } from "../errors.ts";
import type { Identity } from "./decision.ts";
import type { UpdaterEvent } from "./event.ts";
import { Installer, type InstallerOptions } from "./installer.ts";
import { type FileSystem, Machine } from "./machine.ts";
import type { Release, Service } from "./service.ts";
import type { Source } from "./source.ts";
import { readBootKeys } from "./trusted-keys.ts";

export interface UpdaterOptions extends Identity {
  readonly source: Source;
  /** One or two Ed25519 public keys in PEM: those that count until a manifest names others. */
  readonly trustedKeys: readonly string[];
  /** Absolute path of the machine's folder; machine.ts says what is in it. */
  readonly root: string;
  readonly service: Service;
  /** A refusal is logged when its cause is not that of the refusal before, so not at each poll. */
  readonly log: (event: UpdaterEvent) => void;
  /** Mean time between two polls, in milliseconds. */
  readonly pollInterval?: number;
  /** How long a release may take to become healthy, in milliseconds. */
  readonly healthLimit?: number;
  /** The same while there is none to go back to; the same by default. */
  readonly firstHealthLimit?: number;
  /** Folder of what must not be forgotten, in the place of the root's own. */
  readonly stateFolder?: string;
  /** Digests of releases that are not to be removed: others may run from them. */
  readonly inUse?: () => Promise<readonly string[]>;
  /** Is told how things stand after each round, and awaited. */
  readonly onRound?: (status: UpdaterStatus) => Promise<void>;
  /** Try a release again that failed here before: somebody who starts a fleet by hand means it. */
  readonly retryFailed?: boolean;
  /**
   * Check the delivered files at each poll, also while they are what runs already, so that tampering is told of at once
   * and not with the next release. For a folder; over a network it would fetch the relay again and again.
   */
  readonly auditDelivery?: boolean;
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly fs?: FileSystem;
}

export interface Clock {
  /** Resolves after so many milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface UpdaterStatus {
  /** The release that runs and was healthy when it was started. */
  readonly running: Pick<Release, "digest" | "sha256" | "version"> | undefined;
  /** The highest sequence that was accepted. */
  readonly sequence: number | undefined;
  /** Why the last round did not end with what the delivery asks for; empty if it did. */
  readonly refusals: readonly Pick<KitError, "code" | "message">[];
}

export interface Updater extends AsyncDisposable {
  /**
   * Settles with the first round: resolves when the release that the delivery asks for is healthy, rejects with the
   * KitError that kept it from that. A release that ran before has been started again by then, and polling goes on; only
   * after `updater-state-invalid` and `file-unreadable`, at the very start, nothing was started and polling does not
   * begin. Rejects with the signal's reason when the updater is stopped first.
   */
  readonly ready: Promise<void>;
  status(): UpdaterStatus;
  /** Ends polling, waits for what is under way. The relay goes on: whoever made the service ends it. */
  stop(): Promise<void>;
}

/**
 * Starts the updater of one node.
 *
 * @throws KitError `signing-key-invalid`
 */
export function startUpdater(options: UpdaterOptions): Updater {
  const { pollInterval = 30_000, random = Math.random, clock = systemClock } = options;
  const stopping = new AbortController();
  const ready = Promise.withResolvers<void>();
  // Not everybody waits for it; the refusals are in the log as well.
  ready.promise.catch(() => {});
  let installer: Installer | undefined;
  let refusals: readonly KitError[] = [];

  const settings = installerOptions(options, clock, (event) => {
    if (event.kind === "refused" && refusals.some((earlier) => sameCause(earlier, event.error))) return;
    options.log(event);
  });

  async function poll(signal: AbortSignal): Promise<void> {
    installer = await Installer.open(settings);
    for (;;) {
      refusals = await installer.round(signal);
      const [reason] = refusals;
      if (reason === undefined) ready.resolve();
      else ready.reject(reason);
      await options.onRound?.(describeStatus(installer, refusals));
      signal.throwIfAborted();
      await clock.sleep(pollInterval * (0.75 + random() / 2), signal);
    }
  }

  const polling = poll(stopping.signal).catch((error: unknown) => {
    ready.reject(error);
    if (stopping.signal.aborted) return;
    // A bug of ours is an unhandled rejection, which ends the process.
    if (!(error instanceof KitError)) throw error;
    refusals = [error];
    options.log({ kind: "refused", error });
  });

  const stop = (): Promise<void> => {
    stopping.abort();
    return polling;
  };
  return {
    ready: ready.promise,
    status: () => describeStatus(installer, refusals),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const systemClock: Clock = {
  sleep: (milliseconds, signal) => setTimeout(milliseconds, undefined, { signal }),
};

/** How long a publisher may take to replace the files of a bundle, in milliseconds. */
const settleTime = 1000;

function installerOptions(
  options: UpdaterOptions,
  clock: Clock,
  log: (event: UpdaterEvent) => void,
): InstallerOptions {
  const {
    stack,
    region,
    node,
    source,
    service,
    root,
    stateFolder,
    fs,
    healthLimit = 60_000,
    firstHealthLimit = healthLimit,
    inUse = async () => [],
    retryFailed = false,
    auditDelivery = false,
  } = options;
  return {
    identity: { stack, region, node },
    source,
    bootKeys: readBootKeys(options.trustedKeys),
    machine: new Machine(root, fs, stateFolder),
    service,
    healthLimit,
    firstHealthLimit,
    inUse,
    retryFailed,
    auditDelivery,
    settle: (signal) => clock.sleep(settleTime, signal),
    log,
  };
}

function sameCause(a: KitError, b: KitError): boolean {
  return a.code === b.code && a.message === b.message && a.where === b.where;
}

function describeStatus(installer: Installer | undefined, refusals: readonly KitError[]): UpdaterStatus {
  const running = installer?.running;
  return {
    running: running && { digest: running.digest, sha256: running.sha256, version: running.version },
    sequence: installer?.sequence,
    refusals: refusals.map(({ code, message }) => ({ code, message })),
  };
}
