/** What is delivered to one region: the relay, a configuration per node, and the signed manifest that vouches for them. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { FleetNode } from "../clouds/cloud.ts";
import type { RegionConfig } from "../config/fleet.ts";
import { isErrno, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { renderCanonicalJson } from "../../relay/updater/canonical-json.ts";
import {
  allowListFile,
  buildManifest,
  configFile,
  decodeManifest,
  describeFile,
  drainingFile,
  encodeManifest,
  type Manifest,
  type ManifestContent,
  manifestFile,
  nextSequence,
  rateConfigFile,
  relayFile,
  signatureFile,
} from "../../relay/updater/manifest.ts";
import { signManifest, verifyManifest } from "../../relay/updater/signature.ts";
import type { MachineFiles } from "./machine-files.ts";
import type { RelayBundle } from "./relay-bundle.ts";
import { requireTrusted } from "./signing-key.ts";

export interface RegionContent {
  readonly stack: string;
  /** The region's code. */
  readonly region: string;
  readonly relay: Pick<RelayBundle, "code" | "version">;
  /** Node keys that may connect; undefined where no list says who. */
  readonly allow?: readonly string[] | undefined;
  /** What each client may send; undefined for no limit. */
  readonly clientRate?: RegionConfig["clientRate"];
  /** Whether its clients are to find another home. */
  readonly draining?: boolean;
  /** What machines need besides; undefined where there are none. */
  readonly machines?: MachineFiles | undefined;
  /** The region's nodes, no others. */
  readonly nodes: readonly Pick<FleetNode, "name" | "relayConfig">[];
  /**
   * The keys that its machines are to trust from then on, `derpkit:trustedKeys`; undefined where there are no machines,
   * whose updater is given its key each time.
   */
  readonly trustedKeys?: readonly string[] | undefined;
}

/** What of it the configuration of a region says alone. */
export function configuredContent({
  code,
  admission,
  clientRate,
  state,
}: RegionConfig): Pick<RegionContent, "region" | "allow" | "clientRate" | "draining"> {
  return { region: code, allow: admission.allow, clientRate, draining: state === "draining" };
}

/** Files by path, in the order in which they have to be published: the manifest last. */
export type RegionBundle = ReadonlyMap<string, Uint8Array>;

/** What is delivered, before it is signed. */
export interface RegionFiles {
  /** Those of all nodes, and of one node each. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What the manifest says of them. */
  readonly content: ManifestContent;
}

/** Puts a region's files together. */
export function collectRegionFiles({
  stack,
  region,
  relay,
  allow,
  clientRate,
  draining = false,
  machines,
  nodes,
  trustedKeys,
}: RegionContent): RegionFiles {
  const shared = new Map<string, Uint8Array>([
    [relayFile, relay.code],
    ...(allow === undefined ? [] : [[allowListFile, renderKeyList(allow)] as const]),
    ...(clientRate === undefined ? [] : [[rateConfigFile, renderRateConfig(clientRate)] as const]),
    ...(draining ? [[drainingFile, Buffer.from("This region is on its way out.\n")] as const] : []),
    ...(machines?.shared ?? []),
  ]);
  const ofNodes = new Map(
    nodes.map(({ name, relayConfig }) => {
      const config = Buffer.from(renderCanonicalJson(relayConfig));
      const own = [[configFile(name), config] as const, ...(machines?.ofNodes.get(name) ?? [])];
      return [name, new Map<string, Uint8Array>(own)];
    }),
  );
  const files = new Map<string, Uint8Array>([...shared, ...[...ofNodes.values()].flatMap((own) => [...own])]);
  const content = {
    stack,
    region,
    version: relay.version,
    files: [...files].map(([name, bytes]) => {
      const mirrors = machines?.mirrors.get(name);
      return { ...describeFile(name, bytes), ...(mirrors === undefined ? {} : { mirrors: [...mirrors] }) };
    }),
    nodes: [...ofNodes].map(([name, own]) => ({ name, files: [...own.keys(), ...shared.keys()] })),
    ...(trustedKeys === undefined ? {} : { trustedKeys: [...trustedKeys] }),
  };
  return { files, content };
}

/** Vouches for a region's files. @throws KitError `signing-key-untrusted` */
export function signRegionFiles(
  { files, content }: RegionFiles,
  sequence: number,
  signingKey: KeyObject,
): RegionBundle {
  if (content.trustedKeys !== undefined) requireTrusted(signingKey, content.trustedKeys);
  const manifest = encodeManifest(buildManifest(content, sequence));
  return new Map<string, Uint8Array>(files)
    .set(signatureFile, signManifest(manifest, signingKey))
    .set(manifestFile, manifest);
}

/**
 * Puts a region's bundle together and signs it.
 *
 * @param previous the manifest that was published last, undefined if that is not known
 * @param now the time, for the sequence when `previous` is not known
 * @throws KitError `signing-key-untrusted`
 */
export function assembleRegionBundle(
  content: RegionContent,
  previous: Manifest | undefined,
  now: Date,
  signingKey: KeyObject,
): RegionBundle {
  const files = collectRegionFiles(content);
  const sequence = nextSequence(previous, files.content, Math.floor(now.getTime() / 1000));
  return signRegionFiles(files, sequence, signingKey);
}

/** As the relay reads it. An empty list has to say that it is meant to be. */
function renderKeyList(keys: readonly string[]): Buffer {
  const lines = keys.length === 0 ? ["# nobody"] : keys.toSorted();
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}

/** As derper has it. */
function renderRateConfig({ bytesPerSecond, burst }: NonNullable<RegionContent["clientRate"]>): Buffer {
  return Buffer.from(
    renderCanonicalJson({
      PerClientRateLimitBytesPerSec: bytesPerSecond,
      ...(burst === undefined ? {} : { PerClientRateBurstBytes: burst }),
    }),
  );
}

/**
 * Brings a folder to a region's present content. Content that is published already keeps its sequence.
 *
 * An updater that reads meanwhile sees the old bundle, the new one, or a mixture that its checks refuse; it looks again.
 *
 * @returns what is in the folder now
 * @throws KitError `file-unreadable`, `signing-key-untrusted`
 */
export async function publishRegionBundle(
  content: RegionContent,
  folder: string,
  signingKey: KeyObject,
): Promise<RegionBundle> {
  try {
    const previous = await readPublishedManifest(folder, signingKey);
    const bundle = assembleRegionBundle(content, previous, new Date(), signingKey);
    await publishToFolder(bundle, folder);
    return bundle;
  } catch (cause) {
    if (isErrno(cause)) throw new KitError("file-unreadable", { where: folder, cause });
    throw cause;
  }
}

/** The manifest that a folder has; undefined if it has none that we signed. */
async function readPublishedManifest(folder: string, signingKey: KeyObject): Promise<Manifest | undefined> {
  try {
    const manifest = await readFile(path.join(folder, manifestFile));
    verifyManifest(manifest, await readFile(path.join(folder, signatureFile)), [createPublicKey(signingKey)]);
    return decodeManifest(manifest);
  } catch (error) {
    if (isErrno(error, "ENOENT") || error instanceof KitError) return undefined;
    throw error;
  }
}

/** Replaces each file as a whole and in order, then removes what the bundle does not have. */
async function publishToFolder(bundle: RegionBundle, folder: string): Promise<void> {
  for (const [name, bytes] of bundle) await writeWhole(path.join(folder, name), bytes, 0o644);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file).replaceAll(path.sep, "/");
    if (!entry.isDirectory() && !bundle.has(name)) await rm(file);
  }
}
