/** The updater of a machine: settings in, a relay that is what the region's manifest asks for. It runs until it is stopped. */
import type { KeyObject } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { writeWhole } from "../config/files.ts";
import { KitError, renderError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import { type UpdaterEvent, renderUpdaterEvent } from "../updater/event.ts";
import { Machine } from "../updater/machine.ts";
import { manifestFile, maxManifestBytes, signatureFile } from "../updater/manifest.ts";
import { maxSignatureBytes } from "../updater/signature.ts";
import { openManifest } from "../updater/signed-manifest.ts";
import type { Source } from "../updater/source.ts";
import { effectiveKeys, readBootKeys } from "../updater/trusted-keys.ts";
import { startUpdater, type UpdaterStatus } from "../updater/updater.ts";
import { version } from "../version.ts";
import { httpSource } from "./http-source.ts";
import { createSecretsWatch, fetchSecrets } from "./machine-secrets.ts";
import { runFolder, secretsUnit, updaterStateFolder, updaterStatusFile } from "./places.ts";
import { pruneRuntimes } from "./runtime.ts";
import { type AgentSettings, readSettings } from "./settings.ts";
import { renderStatus } from "./status.ts";
import { createSystemctl } from "./systemctl.ts";
import { createSystemdService } from "./systemd-service.ts";
import { releasesInUse, takeOver, takeoverPlaces } from "./takeover.ts";

const keyFolder = "/etc/derpkit";
const root = "/opt/derpkit";
const unitFolder = "/etc/systemd/system";
const runtimes = path.join(root, "runtimes");

/** A region's nodes do not all ask at once: each waits from three quarters to five quarters of it. */
const pollIntervalMs = 30_000;
/** A relay on a small machine needs some seconds to start. */
const healthLimitMs = 60_000;
/** The first one may wait for DNS to lead to it and for its certificate. */
const firstHealthLimitMs = 900_000;

function createSource(settings: AgentSettings): Source {
  return httpSource({ base: settings.delivery, agentFor: buildAgents({ env: process.env }) });
}

/** The keys that the node trusts now: those it was booted with, or those that a manifest named since. */
async function readTrustedKeys({ trustedKeys }: AgentSettings): Promise<readonly KeyObject[]> {
  const state = await new Machine(root, undefined, updaterStateFolder).readState();
  return effectiveKeys(readBootKeys(trustedKeys), state);
}

/** Whether this program can do its work on this machine; does nothing of it. @throws KitError if it cannot */
async function check(): Promise<void> {
  const settings = await readSettings(process.env, keyFolder);
  const trustedKeys = await readTrustedKeys(settings);
  const source = createSource(settings);
  const signal = AbortSignal.timeout(60_000);
  const manifest = await source.fetch(manifestFile, { maxBytes: maxManifestBytes, signal });
  const signature = await source.fetch(signatureFile, { maxBytes: maxSignatureBytes, signal });
  if (manifest === undefined || signature === undefined) throw new KitError("delivery-unreadable");
  openManifest({ manifest, signature }, trustedKeys);
}

async function run(): Promise<void> {
  const settings = await readSettings(process.env, keyFolder);
  const places = takeoverPlaces(root);
  const waking = createWaking();
  const stopping = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.resolve(signal));
  process.on("SIGHUP", () => waking.wake());
  await mkdir(runFolder, { recursive: true });
  const source = createSource(settings);
  const systemctl = createSystemctl();
  const service = createSystemdService({
    node: settings.node,
    unitFolder,
    etc: "/etc",
    runtimes,
    runningFile: path.join(runFolder, "running"),
    systemctl,
  });
  const secrets = createSecretsWatch(
    { settings, source, trustedKeys: () => readTrustedKeys(settings), log },
    {
      unit: path.join(unitFolder, secretsUnit),
      service,
      systemctl,
      async find() {
        const { running } = updater.status();
        return running && new Machine(root, undefined, updaterStateFolder).findRelease(running.digest);
      },
      healthLimitMs,
    },
  );
  const ending = new AbortController();
  void stopping.promise.then(() => ending.abort());
  const show = (status: UpdaterStatus, isTrying: boolean): Promise<void> => {
    const { sequence, refusals } = secrets.status;
    const all = { ...status, secrets: sequence, refusals: [...status.refusals, ...refusals] };
    return writeStatus(renderStatus(all, isTrying, new Date()));
  };

  await using updater = startUpdater({
    ...settings,
    source,
    root,
    stateFolder: updaterStateFolder,
    service,
    pollInterval: pollIntervalMs,
    healthLimit: healthLimitMs,
    firstHealthLimit: firstHealthLimitMs,
    inUse: () => releasesInUse(places),
    clock: waking,
    log(event) {
      logEvent(event);
      if (event.kind === "trying") void show(updater.status(), true);
    },
    async onRound(status) {
      const { running } = status;
      await secrets.round(running !== undefined, ending.signal);
      await show(status, false);
      if (running === undefined) return;
      const releases = [running.digest, ...(await releasesInUse(places))];
      if (await takeOver(path.join(root, "releases", running.digest), places, log)) {
        stopping.resolve("the updater of the new release takes over");
      }
      await pruneRuntimes(
        runtimes,
        [...new Set(releases)].map((digest) => path.join(root, "releases", digest)),
      );
    },
  });
  log(`derpkit updater ${version} of node ${settings.node} asks ${settings.delivery.origin}`);
  log(`${await stopping.promise}: stopping; the relay goes on`);
}

/** A clock whose sleep somebody may end. */
function createWaking() {
  let current = new AbortController();
  return {
    wake: () => current.abort(),
    async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
      current = new AbortController();
      const either = AbortSignal.any([signal, current.signal]);
      await sleep(milliseconds, undefined, { signal: either }).catch(() => {});
      signal.throwIfAborted();
    },
  };
}

/** For the relay, which shows it. Nothing depends on it, so a disk that is full does not matter here. */
async function writeStatus(text: string): Promise<void> {
  try {
    await writeWhole(updaterStatusFile, text, 0o644);
  } catch (error) {
    log(`the status cannot be written: ${String(error)}`);
  }
}

function logEvent(event: UpdaterEvent): void {
  log(renderUpdaterEvent(event));
  if (event.kind !== "refused") return;
  for (const { path: where, message } of event.error.problems ?? []) log(`  ${where}: ${message}`);
}

/** systemd puts the time before it. */
function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

const [mode, ...args] = process.argv.slice(2);
try {
  if (mode === "--check") await check();
  else if (mode === "--secrets") {
    const settings = await readSettings(process.env, keyFolder);
    const trustedKeys = (): Promise<readonly KeyObject[]> => readTrustedKeys(settings);
    await fetchSecrets(args, { settings, source: createSource(settings), trustedKeys, log });
  } else await run();
} catch (error) {
  log(renderError(error));
  process.exitCode = 1;
}
