/** The releases of a stack's regions, ready to be put into a store: what is known now, and what the clouds tell later. */
import type { KeyObject } from "node:crypto";
import path from "node:path";
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import {
  buildManifest,
  configFile,
  encodeManifest,
  manifestFile,
  sha256Hex,
  signatureFile,
} from "../../relay/updater/manifest.ts";
import type { CloudContext, FleetNode, PlannedNode } from "../clouds/cloud.ts";
import type { FleetConfig, RegionConfig } from "../config/fleet.ts";
import { placeRelease, type Release, type Releases } from "./delivery.ts";
import { keepFiles } from "./kept-files.ts";
import { buildMachineFiles, type MachineFiles, runtimeOf } from "./machine-files.ts";
import {
  collectRegionFiles,
  configuredContent,
  type RegionContent,
  signRegionFiles,
} from "./region-bundle.ts";
import type { RelayBundle } from "./relay-bundle.ts";
import { contentDigest, sealSecrets, secretsFile, secretsSignatureFile } from "./sealed-secrets.ts";
import { fetchRuntimes, keptRuntime, runtimeCache } from "./runtime-archive.ts";

/** What is to be put into a store, before the clouds are asked. */
export interface PlannedRelease {
  /** Files of all nodes, by their path in the release: where each is on this machine. */
  readonly kept: ReadonlyMap<string, string>;
  /** Text of each node's files. */
  readonly texts: ReadonlyMap<string, pulumi.Output<string>>;
  /** What vouches for all of them: to be put in last, in this order. */
  readonly seals: ReadonlyMap<string, pulumi.Output<string>>;
  readonly release: pulumi.Output<Release>;
}

export interface ReleaseBuilder {
  /** A region's release. */
  plan(region: RegionConfig, nodes: readonly PlannedNode[]): PlannedRelease;
  /**
   * Secrets that only one node's relay can open.
   *
   * @param key the relay's: 64 hex digits
   * @param secrets by credential
   */
  seal(
    region: RegionConfig,
    node: string,
    key: pulumi.Output<string>,
    secrets: ReadonlyMap<string, pulumi.Output<string>>,
  ): PlannedRelease;
}

export interface ReleaseOptions extends Pick<CloudContext, "root" | "stack" | "now" | "offline"> {
  /** What the last `up` published. */
  readonly releases: Releases;
  /** Undefined where nobody signs: the releases are then known after up. */
  readonly signingKey: KeyObject | undefined;
  readonly relay: Pick<RelayBundle, "code" | "version">;
  readonly updater: Pick<RelayBundle, "code">;
}

/**
 * Gathers what all releases are made of.
 *
 * @throws KitError `runtime-unreachable`, `file-unreadable`
 */
export async function openReleaseBuilder(
  config: Pick<FleetConfig, "regions" | "runtime" | "trustedKeys">,
  options: ReleaseOptions,
): Promise<ReleaseBuilder> {
  const { root, stack, now, offline, releases, signingKey, relay, updater } = options;
  const runtimes = config.regions.flatMap((region) => runtimeOf(region, config) ?? []);
  // Nobody looks at the bytes offline.
  const archives = offline
    ? new Map<string, Buffer>()
    : await fetchRuntimes(runtimes, runtimeCache, process.env);

  const machinesOf = (region: RegionConfig, nodes: readonly Addressed[]): MachineFiles => {
    const runtime = runtimeOf(region, config);
    if (runtime === undefined) throw new Error(`region ${region.id} has no machines`);
    const archive = archives.get(runtime.file) ?? Buffer.alloc(0);
    return buildMachineFiles(region, nodes, updater, runtime, archive);
  };
  const contentOf = (region: RegionConfig, nodes: readonly Described[]): RegionContent => ({
    ...configuredContent(region),
    stack,
    relay,
    machines: machinesOf(region, nodes),
    nodes,
    trustedKeys: config.trustedKeys,
  });

  const folder = path.join(root, ".derpkit", "releases", stack);
  const cached = new Map(runtimes.map((runtime) => [runtime.file, keptRuntime(runtime, runtimeCache)]));
  const own: Uint8Array[] = [];
  /** By region: what all of its nodes share is the same whatever the clouds tell. */
  const kept = new Map(
    config.regions
      .filter(({ cloud }) => cloud !== "local")
      .map((region) => {
        const { files, content } = collectRegionFiles(contentOf(region, []));
        const places = content.files.map(({ path: name, sha256 }) => {
          const inCache = cached.get(name);
          if (inCache === undefined) own.push(files.get(name) ?? Buffer.alloc(0));
          return [name, inCache ?? path.join(folder, sha256)] as const;
        });
        return [region.code, new Map(places)] as const;
      }),
  );
  if (!offline) await keepFiles(folder, own);

  const seconds = Math.floor(now.getTime() / 1000);
  const place = (name: string, content: string): Release => placeRelease(content, releases[name], seconds);
  return {
    plan(region, nodes) {
      const signed =
        signingKey === undefined
          ? nobodySigns
          : pulumi.output(nodes).apply((known): SignedRelease => {
              const collected = collectRegionFiles(contentOf(region, known));
              const release = place(
                region.code,
                sha256Hex(encodeManifest(buildManifest(collected.content, 1))),
              );
              return { release, files: signRegionFiles(collected, release.sequence, signingKey) };
            });
      const { ofNodes } = machinesOf(region, nodes);
      const names = nodes.flatMap(({ name }) => [configFile(name), ...(ofNodes.get(name)?.keys() ?? [])]);
      return {
        kept: kept.get(region.code) ?? new Map(),
        ...describeSigned(signed, names, [signatureFile, manifestFile]),
      };
    },
    seal({ code }, node, key, secrets) {
      const [file, signature] = [secretsFile(node), secretsSignatureFile(node)];
      const sealed =
        signingKey === undefined
          ? nobodySigns
          : pulumi
              .all([key, pulumi.all(Object.fromEntries(secrets))])
              .apply(([to, values]): SignedRelease => {
                const content = { stack, region: code, node, to, secrets: new Map(Object.entries(values)) };
                const first = sealSecrets({ ...content, sequence: 1 }, signingKey).document;
                const release = place(`${code}/${node}`, contentDigest(first));
                const made = sealSecrets({ ...content, sequence: release.sequence }, signingKey);
                const files = [[file, made.document] as const, [signature, made.signature] as const];
                return { release, files: new Map(files) };
              });
      // What is sealed is no secret: it lies where everybody may see it.
      const open = pulumi.unsecret(sealed);
      return { kept: new Map(), ...describeSigned(open, [], [signature, file]) };
    },
  };
}

/** @param names of files that are put in at any time, and of those that are put in last */
function describeSigned(
  signed: pulumi.Output<SignedRelease>,
  names: readonly string[],
  last: readonly string[],
): Omit<PlannedRelease, "kept"> {
  const textOf = (name: string): pulumi.Output<string> =>
    signed.apply(({ files }) => Buffer.from(files.get(name) ?? []).toString());
  return {
    texts: new Map(names.map((name) => [name, textOf(name)])),
    seals: new Map(last.map((name) => [name, textOf(name)])),
    release: signed.apply(({ release }) => release),
  };
}

type Addressed = Pick<FleetNode, "name" | "derpPort" | "stunPort">;
type Described = Addressed & Pick<FleetNode, "relayConfig">;

/** Known after up. */
const nobodySigns = pulumi.output(pulumi.unknown).apply((never) => never as unknown as SignedRelease);

interface SignedRelease {
  readonly release: Release;
  readonly files: ReadonlyMap<string, Uint8Array>;
}
