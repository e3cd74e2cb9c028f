/** What a region's machines are delivered besides the relay and its configuration. */
import { updaterFile } from "../../relay/agent/places.ts";
import { credentialsOf, type SecretNames } from "../bootstrap/credentials.ts";
import { type RuntimeArchive, runtimeArchive } from "../bootstrap/runtimes.ts";
import { stage1 } from "../bootstrap/stage1.ts";
import { renderSystemFiles } from "../bootstrap/system-files.ts";
import { renderUnits } from "../bootstrap/units.ts";
import { architectureOf } from "../clouds/architecture.ts";
import { secretChannelOf } from "../clouds/secret-channel.ts";
import type { FleetNode } from "../clouds/cloud.ts";
import type { FleetConfig, RegionConfig } from "../config/fleet.ts";
import type { RelayBundle } from "./relay-bundle.ts";

export interface MachineFiles {
  /** Of every node of the region. */
  readonly shared: ReadonlyMap<string, Uint8Array>;
  /** Of one node each, by its name. */
  readonly ofNodes: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;
  /** Where else a file may be had. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
}

/** The runtime of a region's machines; undefined where they are this one. */
export function runtimeOf(
  { cloud, size }: Pick<RegionConfig, "cloud" | "size">,
  { runtime }: Pick<FleetConfig, "runtime">,
): RuntimeArchive | undefined {
  return cloud === "local" ? undefined : runtimeArchive(runtime, architectureOf(cloud, size));
}

/** Puts the files of a region's machines together. @param archive the bytes of `runtime` */
export function buildMachineFiles(
  region: Pick<RegionConfig, "cloud" | "http"> & SecretNames,
  nodes: readonly Pick<FleetNode, "name" | "derpPort" | "stunPort">[],
  updater: Pick<RelayBundle, "code">,
  runtime: RuntimeArchive,
  archive: Uint8Array,
): MachineFiles {
  const { http, cloud } = region;
  const secretChannel = secretChannelOf(cloud);
  const credentials = credentialsOf(region).map(({ kind }) => kind.name);
  return {
    shared: new Map<string, Uint8Array>([
      ["stage1.sh", Buffer.from(stage1)],
      [updaterFile, updater.code],
      [runtime.file, archive],
    ]),
    ofNodes: new Map(
      nodes.map(({ name, derpPort, stunPort }) => {
        const units = [...renderUnits({ derpPort, stunPort, http, credentials, secretChannel })];
        const system = [...renderSystemFiles(name)];
        return [
          name,
          new Map<string, Uint8Array>([
            ...units.map(([unit, text]) => [`units/${name}/${unit}`, Buffer.from(text)] as const),
            ...system.map(([file, text]) => [`system/${name}/${file}`, Buffer.from(text)] as const),
          ]),
        ];
      }),
    ),
    mirrors: new Map([[runtime.file, runtime.mirrors]]),
  };
}
