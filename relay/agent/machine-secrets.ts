/** The relay's secrets on a machine: where they come from, and how a relay that runs gets newer ones. */
import type { KeyObject } from "node:crypto";
import { readdir } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolder, readIfThere } from "../config/files.ts";
import { KitError, renderError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import type { Release, Service } from "../updater/service.ts";
import type { Source } from "../updater/source.ts";
import { areCredentials, writeCredentials } from "./credential-files.ts";
import { readInstanceSecrets } from "./instance-secrets.ts";
import { type ObtainedSecrets, obtainSecrets, type ObtainOptions, readAccepted } from "./obtain-secrets.ts";
import {
  credentialsFolder,
  findSealedNames,
  parameterName,
  parseSecretsArguments,
  relayKeyFile,
  relayUnit,
  updaterStateFolder,
} from "./places.ts";
import type { OpenedSecrets } from "./sealed-secrets.ts";
import { SecretsWatch } from "./secrets-watch.ts";
import type { AgentSettings } from "./settings.ts";
import type { Systemctl } from "./systemctl.ts";

export interface MachineSecretsContext {
  readonly settings: AgentSettings;
  readonly source: Source;
  /** Those that the node trusts now. */
  readonly trustedKeys: () => Promise<readonly KeyObject[]>;
  readonly log: (line: string) => void;
}

const withinMs = 60_000;
/** A relay that is to be started waits no longer for its first ones. */
const firstWithinMs = 10_000;
const settleMs = 1_000;

/** Leaves the relay's secrets where its unit takes them from. @param args what the secrets' unit says behind `--secrets` */
export async function fetchSecrets(args: readonly string[], context: MachineSecretsContext): Promise<void> {
  const { channel, names } = parseSecretsArguments(args);
  await (channel === "sealed" ? openSealedSecrets(names, context) : fetchInstanceSecrets(names, context));
}

/** What is there from before stays while nothing newer can be had: a relay that is started again must not wait for others. */
async function fetchInstanceSecrets(
  names: readonly string[],
  { settings: { stack, node }, log }: MachineSecretsContext,
): Promise<void> {
  await makeFolder(credentialsFolder, 0o700);
  const present = await readdir(credentialsFolder);
  try {
    const secrets = await readInstanceSecrets(names, (name) => parameterName(stack, node, name), {
      metadata: new URL("http://169.254.169.254/"),
      agentFor: buildAgents({ env: process.env }),
      signal: AbortSignal.timeout(withinMs),
    });
    await writeCredentials(credentialsFolder, names, secrets);
  } catch (error) {
    if (!names.every((name) => present.includes(name))) throw error;
    log(`the secrets are those from before\n${renderError(error)}`);
  }
}

/**
 * The relay starts without those that there are not yet, and whatever goes wrong here: it has to be seen before anybody can seal
 * anything to it. With what was accepted before it starts at once: the updater looks for newer ones.
 */
async function openSealedSecrets(names: readonly string[], context: MachineSecretsContext): Promise<void> {
  const { log } = context;
  const options = await obtainOptions(context);
  const held = (await readAccepted(options)) ?? (await obtainFirst(options, log));
  if (held === undefined) return log("nothing is sealed to the relay yet");
  await writeCredentials(credentialsFolder, names, held.secrets);
  const missing = names.filter((name) => !held.secrets.has(name));
  if (missing.length > 0) log(`the secrets of sequence ${held.sequence} have no ${missing.join(", no ")}`);
}

async function obtainFirst(
  options: ObtainOptions,
  log: MachineSecretsContext["log"],
): Promise<OpenedSecrets | undefined> {
  const { held, refusal } = await obtainSecrets(options, AbortSignal.timeout(firstWithinMs));
  if (refusal !== undefined) log(renderError(refusal));
  return held;
}

export interface RunningRelay {
  /** File of the secrets' unit. */
  readonly unit: string;
  readonly service: Pick<Service, "healthy">;
  readonly systemctl: Systemctl;
  /** The release whose relay is to be healthy with its new secrets. */
  readonly find: () => Promise<Release | undefined>;
  readonly healthLimitMs: number;
}

/** Makes what looks for newer sealed secrets. */
export function createSecretsWatch(
  context: MachineSecretsContext,
  { unit, service, systemctl, find, healthLimitMs }: RunningRelay,
): SecretsWatch {
  return new SecretsWatch({
    names: async () => findSealedNames((await readIfThere(unit)) ?? ""),
    obtain: (signal) => obtainSealed(context, AbortSignal.any([signal, AbortSignal.timeout(withinMs)])),
    isInPlace: (names, values) => areCredentials(credentialsFolder, names, values),
    async restart(signal) {
      const release = await find();
      if (release === undefined) return;
      // Starts that failed count against those to come.
      await systemctl("reset-failed", relayUnit);
      const { ok, text } = await systemctl("restart", relayUnit);
      if (!ok) {
        const message = `The relay does not start with its new secrets: ${text.trim()}.`;
        throw new KitError("relay-exited", { message });
      }
      await service.healthy(release, AbortSignal.any([signal, AbortSignal.timeout(healthLimitMs)]));
    },
    log: context.log,
  });
}

async function obtainSealed(context: MachineSecretsContext, signal: AbortSignal): Promise<ObtainedSecrets> {
  return obtainSecrets(await obtainOptions(context), signal);
}

async function obtainOptions({
  settings,
  source,
  trustedKeys,
}: MachineSecretsContext): Promise<ObtainOptions> {
  return {
    ...settings,
    trustedKeys: await trustedKeys(),
    source,
    keyFile: relayKeyFile,
    keptFile: path.join(updaterStateFolder, "secrets"),
    settle: (until) => sleep(settleMs, undefined, { signal: until }),
  };
}
