/** One node's releases: what is wanted, what runs, and how the one becomes the other. updater.ts has the loop around it. */
import { KitError } from "../errors.ts";
import { decide, type Identity } from "./decision.ts";
import type { UpdaterEvent } from "./event.ts";
import type { Machine } from "./machine.ts";
import {
  fetchedBefore,
  manifestFile,
  type ManifestFile,
  maxManifestBytes,
  sha256Hex,
  signatureFile,
} from "./manifest.ts";
import type { Release, Service } from "./service.ts";
import { maxSignatureBytes } from "./signature.ts";
import type { Source } from "./source.ts";
import {
  beginTrial,
  dropTrial,
  encodeState,
  failTrial,
  forgetFailure,
  loseGood,
  passTrial,
  type UpdaterState,
} from "./state.ts";
import type { BootKeys } from "./trusted-keys.ts";

export interface InstallerOptions {
  readonly identity: Identity;
  readonly source: Source;
  readonly bootKeys: BootKeys;
  readonly machine: Machine;
  readonly service: Service;
  /** How long a release that was started may take to become healthy, in milliseconds. */
  readonly healthLimit: number;
  /** The same while there is none to go back to: the first one may have to wait for its certificate. */
  readonly firstHealthLimit: number;
  /** Try a release again that failed before, because a person asks for it. */
  readonly retryFailed: boolean;
  /** Digests of releases that are not to be removed: others may run from them. */
  readonly inUse: () => Promise<readonly string[]>;
  /** Check the delivered files also while they are what runs already: for a source where reading costs nothing. */
  readonly auditDelivery: boolean;
  /** Waits until a publisher that is at work has surely finished writing. */
  readonly settle: (signal: AbortSignal) => Promise<void>;
  readonly log: (event: UpdaterEvent) => void;
}

export class Installer {
  readonly #options: InstallerOptions;
  #state: UpdaterState;
  /** The state as it is on the disk. */
  #stored: Buffer;
  /** The release to go back to, the same as the state's. */
  #good: Release | undefined;
  /** The release that this installer started and saw healthy. */
  #running: Release | undefined;

  private constructor(options: InstallerOptions, remembered: UpdaterState, good: Release | undefined) {
    const state = options.retryFailed ? forgetFailure(remembered) : remembered;
    this.#options = options;
    this.#stored = encodeState(remembered);
    // A machine that was built anew has the node's memory and none of its releases.
    this.#state = good === undefined ? loseGood(state) : state;
    this.#good = good;
  }

  /**
   * Reads what the machine remembers; starts nothing.
   *
   * @throws KitError `updater-state-invalid`, `file-unreadable`
   */
  static async open(options: InstallerOptions): Promise<Installer> {
    const { machine } = options;
    const state = await machine.readState();
    const good = state.good === undefined ? undefined : await machine.findRelease(state.good);
    return new Installer(options, state, good);
  }

  /** The release that runs and was healthy. */
  get running(): Release | undefined {
    return this.#running;
  }

  /** The highest sequence that was accepted. */
  get sequence(): number | undefined {
    return this.#state.accepted?.sequence;
  }

  /**
   * Looks once for something new and installs it. Whatever comes of that, the good release runs afterwards if there is
   * one; so the relay is started at first, and so a release that failed is gone back from.
   *
   * @returns what kept the release that is asked for, and then the good one, from running; empty if nothing did
   */
  async round(signal: AbortSignal): Promise<KitError[]> {
    const refusal = await this.#failureOf(() => this.#update(signal), signal);
    const failure = await this.#failureOf(() => this.#ensureRunning(signal), signal);
    return [refusal, failure].filter((error) => error !== undefined);
  }

  async #update(signal: AbortSignal): Promise<void> {
    const release = await this.#lookTwice(signal);
    if (release !== undefined) await this.#tryOut(release, signal);
  }

  /** Several files cannot be replaced at one moment, so what may be a publisher at work is looked at again. */
  async #lookTwice(signal: AbortSignal): Promise<Release | undefined> {
    try {
      return await this.#look(signal);
    } catch (error) {
      if (!(error instanceof KitError) || !passingFailures.has(error.code)) throw error;
      await this.#options.settle(signal);
      return this.#look(signal);
    }
  }

  /** Fetches what is offered; gives the release if it is to be installed, its files already in their place. */
  async #look(signal: AbortSignal): Promise<Release | undefined> {
    const { identity, machine, bootKeys, auditDelivery } = this.#options;
    const manifest = await this.#fetch(manifestFile, maxManifestBytes, signal);
    const signature = await this.#fetch(signatureFile, maxSignatureBytes, signal);
    const decision = decide(this.#state, identity, bootKeys, { manifest, signature });
    await this.#remember(decision.state);
    if (decision.kind === "failed") throw decision.reason;
    const { release } = decision;
    if (decision.kind === "unchanged") {
      if (auditDelivery) for (const file of release.files) await this.#fetchChecked(file, signal);
      return undefined;
    }
    return (
      (await machine.findRelease(decision.digest)) ??
      (await machine.addRelease(release, (file) => this.#obtain(file, signal)))
    );
  }

  /** Most files of a release are those of the one before, and the largest is. */
  async #obtain(file: ManifestFile, signal: AbortSignal): Promise<Uint8Array> {
    const { good, previous } = this.#state;
    const { machine, auditDelivery } = this.#options;
    const own = auditDelivery ? undefined : await machine.findFile(file, [good, previous, fetchedBefore]);
    return own ?? this.#fetchChecked(file, signal);
  }

  async #fetchChecked(file: ManifestFile, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#fetch(file.path, file.size, signal, file.mirrors);
    if (bytes.length === file.size && sha256Hex(bytes) === file.sha256) return bytes;
    throw new KitError("bundle-tampered", { where: file.path });
  }

  async #fetch(
    file: string,
    maxBytes: number,
    signal: AbortSignal,
    mirrors?: readonly string[],
  ): Promise<Uint8Array> {
    const bytes = await this.#options.source.fetch(file, { maxBytes, signal, mirrors });
    if (bytes !== undefined) return bytes;
    throw new KitError("delivery-unreadable", { where: file, message: "The delivery lacks a file." });
  }

  /** Runs a release and keeps in mind what that shows. */
  async #tryOut(release: Release, signal: AbortSignal): Promise<void> {
    this.#options.log({ kind: "trying", release });
    await this.#makeCurrent(release);
    await this.#remember(beginTrial(this.#state, release.digest));
    try {
      await this.#run(release, signal);
    } catch (error) {
      if (signal.aborted) await this.#remember(dropTrial(this.#state));
      else if (error instanceof KitError) await this.#blame(release, error);
      throw error;
    }
    await this.#remember(passTrial(this.#state, release.digest));
    this.#good = release;
    const { good, previous } = this.#state;
    await this.#options.machine.pruneReleases([good, previous, ...(await this.#options.inUse())]);
  }

  async #blame(release: Release, error: KitError): Promise<void> {
    if (this.#good !== undefined) {
      await this.#remember(failTrial(this.#state, release.digest, error.message));
      return;
    }
    // With nothing to go back to, nothing is lost by trying again, and the reason may lie outside of the release. But
    // a relay that serves badly must not serve: clients turn to the region's next node only when this one refuses.
    await this.#remember(dropTrial(this.#state));
    await this.#options.service.stop();
  }

  async #ensureRunning(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined || this.#good === undefined) return;
    await this.#makeCurrent(this.#good);
    await this.#run(this.#good, signal);
  }

  /** Whatever `current` leads to is ready to be started. */
  async #makeCurrent(release: Release): Promise<void> {
    await this.#options.service.prepare?.(release);
    await this.#options.machine.pointCurrent(release);
  }

  /** Starts a release and waits until it is healthy. */
  async #run(release: Release, signal: AbortSignal): Promise<void> {
    const { service, log } = this.#options;
    const healthLimit = this.#good === undefined ? this.#options.firstHealthLimit : this.#options.healthLimit;
    signal.throwIfAborted();
    this.#running = undefined;
    await service.start(release);
    const limit = AbortSignal.timeout(healthLimit);
    try {
      await service.healthy(release, AbortSignal.any([signal, limit]));
    } catch (cause) {
      if (cause instanceof KitError || !limit.aborted) throw cause;
      const message = `Release ${release.version} was not healthy within ${healthLimit / 1000} seconds.`;
      throw new KitError("relay-not-ready", { message, cause });
    }
    this.#running = release;
    log({ kind: "running", release });
  }

  /** Holds even if it cannot be written: what was refused stays refused while this process lives. */
  async #remember(state: UpdaterState): Promise<void> {
    this.#state = state;
    const bytes = encodeState(state);
    if (bytes.equals(this.#stored)) return;
    await this.#options.machine.writeState(state);
    this.#stored = bytes;
  }

  /** Does work; a failure of the delivery, the release or the machine is logged and given. A bug of ours is thrown on. */
  async #failureOf(work: () => Promise<void>, signal: AbortSignal): Promise<KitError | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      // Once stopped, a failure means no more than that.
      if (!(error instanceof KitError) || signal.aborted) throw error;
      this.#options.log({ kind: "refused", error });
      return error;
    }
  }
}

/** What a folder that is just being written can look like. */
const passingFailures: ReadonlySet<string> = new Set([
  "manifest-signature",
  "delivery-unreadable",
  "bundle-tampered",
]);
