/** What the updater's tests play on: a delivery folder, a machine's folder, a relay that only writes down what happens. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { KitError } from "../../errors.ts";
import { temporaryFolder } from "../../testing/temporary-folder.ts";
import type { UpdaterEvent } from "../event.ts";
import {
  allowListFile,
  buildManifest,
  configFile,
  describeFile,
  encodeManifest,
  type Manifest,
  manifestFile,
  relayFile,
  signatureFile,
} from "../manifest.ts";
import { encodePublicKey, renderPublicPem } from "../public-key.ts";
import type { Release, Service } from "../service.ts";
import { signManifest } from "../signature.ts";
import { folderSource } from "../source.ts";
import { type Clock, startUpdater, type Updater, type UpdaterOptions } from "../updater.ts";

/** A key pair as its two sides have it. */
export interface Keys {
  readonly signing: KeyObject;
  /** In PEM, as a machine is booted with it. */
  readonly trusted: string;
  /** In base64, as a manifest names it. */
  readonly named: string;
}

export function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync("ed25519");
  const named = encodePublicKey(privateKey);
  return { signing: privateKey, trusted: renderPublicPem(named), named };
}

/** The bundle of region alfa of stack test, whose nodes are 901a and 901b. */
export interface Offer {
  readonly sequence: number;
  /** The relay's code. One that has the word `sick` in it never becomes healthy. */
  readonly relay: string;
  readonly configs?: Readonly<Record<string, string>>;
  /** Who may connect. */
  readonly allow?: string;
  readonly stack?: string;
  readonly region?: string;
  /** The keys that it names; none if left out. */
  readonly trust?: readonly Keys[];
}

/** The files of a bundle by path, unsigned. */
export function bundleFiles({ relay, configs = {}, allow }: Offer): Map<string, Buffer> {
  const all = { "901a": "{}", "901b": "{}", ...configs };
  return new Map([
    [relayFile, Buffer.from(relay)],
    ...(allow === undefined ? [] : [[allowListFile, Buffer.from(allow)] as const]),
    ...Object.entries(all).map(([node, config]) => [configFile(node), Buffer.from(config)] as const),
  ]);
}

export function offerManifest(offer: Offer): Manifest {
  const files = bundleFiles(offer);
  const shared = [relayFile, ...(offer.allow === undefined ? [] : [allowListFile])];
  return buildManifest(
    {
      stack: offer.stack ?? "test",
      region: offer.region ?? "alfa",
      version: `0.1.0+${offer.relay.replaceAll(/[^0-9A-Za-z]/g, "")}`,
      files: [...files].map(([name, bytes]) => describeFile(name, bytes)),
      nodes: ["901a", "901b"].map((name) => ({ name, files: [...shared, configFile(name)] })),
      ...(offer.trust === undefined ? {} : { trustedKeys: offer.trust.map(({ named }) => named) }),
    },
    offer.sequence,
  );
}

/** A relay that runs, or does not, as the bytes on the disk say. */
export class RecordedService implements Service {
  /** `start A`, `reload A`, `healthy A`, `stop`. */
  readonly calls: string[] = [];
  running: Release | undefined;
  /**
   * Resolves when a relay was asked how it is and gives no answer: `hanging` or `silent`, which differ in how the
   * service puts it.
   */
  readonly hangs = Promise.withResolvers<void>();

  /** What the relay that runs has for its code. */
  async runningCode(): Promise<string | undefined> {
    return this.running && readFile(this.running.code, "utf8");
  }

  async start(release: Release): Promise<void> {
    if (this.running?.digest === release.digest) return;
    if (this.running?.processDigest === release.processDigest) {
      this.calls.push(`reload ${await readFile(release.code, "utf8")}`);
      this.running = release;
      return;
    }
    this.calls.push(`start ${await readFile(release.code, "utf8")}`);
    await readFile(release.config);
    this.running = release;
  }

  async healthy(release: Release, signal: AbortSignal): Promise<void> {
    const code = await readFile(release.code, "utf8");
    if (/hanging|silent/.test(code)) {
      this.hangs.resolve();
      await aborted(signal).catch((reason: unknown) => {
        throw code === "silent" ? new KitError("relay-not-ready") : reason;
      });
    }
    if (code.includes("sick")) {
      this.running = undefined;
      throw new KitError("relay-exited", { message: `The relay ${code} ended.` });
    }
    this.calls.push(`healthy ${code}`);
  }

  stop(): Promise<void> {
    this.calls.push("stop");
    this.running = undefined;
    return Promise.resolve();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** A clock on which polls happen when the test says so, and publishers are given no time. */
export class ManualClock implements Clock {
  /** How long each pause between two polls was to be, in milliseconds. */
  readonly pauses: number[] = [];
  #paused = Promise.withResolvers<void>();
  #resume = Promise.withResolvers<void>();

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds < 5_000) return Promise.resolve();
    this.pauses.push(milliseconds);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#resume = { promise, resolve, reject };
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    this.#paused.resolve();
    return promise;
  }

  /** Resolves when the updater has nothing to do before its next poll. */
  async idle(): Promise<void> {
    await this.#paused.promise;
  }

  /** Lets one poll happen. */
  async poll(): Promise<void> {
    await this.idle();
    this.#paused = Promise.withResolvers();
    this.#resume.resolve();
    await this.idle();
  }
}

/** An updater on a stage, with what it said. */
export interface Actor {
  readonly updater: Updater;
  readonly clock: ManualClock;
  readonly events: UpdaterEvent[];
  /** The codes of the refusals that were logged, in order. */
  readonly refusals: () => string[];
}

export class Stage {
  readonly keys = makeKeys();
  readonly service = new RecordedService();
  readonly folder: string;
  readonly delivery: string;
  readonly root: string;

  constructor(folder: string) {
    this.folder = folder;
    this.delivery = path.join(folder, "delivery");
    this.root = path.join(folder, "machine");
  }

  /** Starts the updater of node 901a. */
  start(changes: Partial<UpdaterOptions> = {}): Actor {
    const clock = new ManualClock();
    const events: UpdaterEvent[] = [];
    const updater = startUpdater({
      stack: "test",
      region: "alfa",
      node: "901a",
      source: folderSource(this.delivery),
      trustedKeys: [this.keys.trusted],
      root: this.root,
      service: this.service,
      log: (event) => events.push(event),
      clock,
      ...changes,
    });
    const refusals = (): string[] =>
      events.flatMap((event) => (event.kind === "refused" ? [event.error.code] : []));
    return { updater, clock, events, refusals };
  }

  /** Publishes a bundle as it should be. */
  async publish(offer: Offer, keys = this.keys): Promise<void> {
    for (const [name, bytes] of bundleFiles(offer)) await this.deliver(name, bytes);
    await this.publishManifest(encodeManifest(offerManifest(offer)), keys);
  }

  async publishManifest(manifest: Uint8Array, keys = this.keys): Promise<void> {
    await this.deliver(signatureFile, signManifest(manifest, keys.signing));
    await this.deliver(manifestFile, manifest);
  }

  /** Puts a file into the delivery folder, whatever is there. */
  async deliver(name: string, bytes: Uint8Array | string): Promise<void> {
    const file = path.join(this.delivery, name);
    await mkdir(path.dirname(file), { recursive: true });
    await rm(file, { force: true });
    await writeFile(file, bytes);
  }

  /** The list that the relay which runs finds. */
  currentList(): Promise<string> {
    return readFile(path.join(this.root, "current", allowListFile), "utf8");
  }

  /** The code of the relay that `current` leads to. */
  current(): Promise<string> {
    return readFile(path.join(this.root, "current", relayFile), "utf8");
  }
}

/** A stage in a folder of its own, removed after the test. */
export async function openStage(t: TestContext): Promise<Stage> {
  return new Stage(temporaryFolder(t));
}
