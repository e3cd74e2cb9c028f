/** What the updaters of machines say that take whatever comes: the machines do not boot here, and relays on loopback show it. */
import { once } from "node:events";
import timers from "node:timers/promises";
import { writeWhole } from "../relay/config/files.ts";
import { decodeManifest } from "../relay/updater/manifest.ts";
import { decodeSecretsDocument, secretsFile } from "../relay/updater/secrets-document.ts";
import type { CloudFleet } from "./cloud-fleet.ts";

export interface StandInUpdater {
  /** The region's code. */
  readonly region: string;
  readonly node: string;
  /** That the node's relay shows. */
  readonly statusFile: string;
}

const pollMs = 250;

/** A file of the fleet's bucket, if it is there and small. @param name with the region's folder */
export async function readDelivered(
  fleet: Pick<CloudFleet, "clouds">,
  name: string,
): Promise<Buffer | undefined> {
  const [bucket] = (await fleet.clouds.state()).aws.s3;
  const text = bucket?.objects.find(({ key }) => key === name)?.text;
  return text === undefined ? undefined : Buffer.from(text);
}

/** Runs an `up` with updaters beside it. @returns its exit status */
export async function upWithUpdaters(
  fleet: CloudFleet,
  updaters: readonly StandInUpdater[],
): Promise<number | null> {
  const up = fleet.spawn("up", "--yes", "--skip-preview");
  const ended = once(up, "exit");
  while (up.exitCode === null && up.signalCode === null) {
    for (const updater of updaters) await takeWhatComes(fleet, updater);
    await Promise.race([ended, timers.setTimeout(pollMs)]);
  }
  return up.exitCode;
}

/** Has an updater say that it runs what is delivered now. */
export async function takeWhatComes(
  fleet: Pick<CloudFleet, "clouds">,
  { region, node, statusFile }: StandInUpdater,
): Promise<void> {
  const manifest = await readDelivered(fleet, `${region}/manifest.json`);
  const secrets = await readDelivered(fleet, `${region}/${secretsFile(node)}`);
  const status = {
    format: 1,
    state: "current",
    sequence: manifest === undefined ? null : decodeManifest(manifest).sequence,
    secrets: secrets === undefined ? null : decodeSecretsDocument(secrets).sequence,
    version: null,
    digest: null,
    refusals: [],
    at: new Date().toISOString(),
  };
  await writeWhole(statusFile, JSON.stringify(status), 0o644);
}
