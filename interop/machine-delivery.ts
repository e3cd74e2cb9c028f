/** A region's bundle for a machine of a test, and the user data that the machine boots with. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import path from "node:path";
import process from "node:process";
import { renderCloudInit } from "../infra/bootstrap/cloud-init.ts";
import { buildRelayConfig } from "../infra/bootstrap/relay-config.ts";
import { updaterStatusFile } from "../relay/agent/places.ts";
import { type RuntimeName, runtimeArchive } from "../infra/bootstrap/runtimes.ts";
import { buildMachineFiles } from "../infra/delivery/machine-files.ts";
import { publishRegionBundle, type RegionContent } from "../infra/delivery/region-bundle.ts";
import { type RelayBundle, relayBundle, updaterBundle } from "../infra/delivery/relay-bundle.ts";
import { fetchRuntime, runtimeCache } from "../infra/delivery/runtime-archive.ts";
import { commandUnits, DeliveryServer } from "./delivery-server.ts";
import { volumeDevice } from "./virtual-machine.ts";

export const region = "fra";
export const node = "901a";
export const hostName = "901a.derpkit.internal";
export const stack = "machine";
/** What names a secret that is sealed to the relay. */
const secretNames = { statusToken: "statusToken" };

/** What differs from the usual content of a release. */
export interface Release {
  readonly relay?: Pick<RelayBundle, "code" | "version">;
  readonly updater?: Pick<RelayBundle, "code">;
  readonly runtime?: RuntimeName;
  readonly node?: string;
  /** Keys that may connect; everybody without it. */
  readonly allow?: readonly string[];
  readonly clientRate?: RegionContent["clientRate"];
  /** The relay has a secret that is sealed to it, or will be: each of its starts is then one of two processes. */
  readonly sealed?: boolean;
  readonly key?: KeyObject;
}

export class MachineDelivery implements AsyncDisposable {
  readonly server: DeliveryServer;
  readonly folder: string;
  readonly signingKey = generateKeyPairSync("ed25519").privateKey;
  readonly #runtime: RuntimeName;

  private constructor(server: DeliveryServer, folder: string, runtime: RuntimeName) {
    this.server = server;
    this.folder = folder;
    this.#runtime = runtime;
  }

  /** @param root an empty folder, which is delivered */
  static async start(root: string, runtime: RuntimeName): Promise<MachineDelivery> {
    return new MachineDelivery(await DeliveryServer.start(root), path.join(root, region), runtime);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** What the machine boots with: only device and delivery differ from what a stack renders. */
  get userData(): string {
    const key = createPublicKey(this.signingKey).export({ type: "spki", format: "der" }).toString("base64");
    return renderCloudInit({
      stack,
      region,
      node,
      generation: 1,
      deliveryUrl: `${this.server.url}/${region}`,
      volumeDevice,
      trustedKeys: [key],
      icmpEcho: true,
    });
  }

  /** Publishes a release. @returns the relay in it */
  async publish(release: Release = {}): Promise<Pick<RelayBundle, "code" | "version">> {
    const { relay = await relayBundle(), key = this.signingKey } = release;
    await publishRegionBundle(await this.#contentOf({ ...release, relay }), this.folder, key);
    return relay;
  }

  async #contentOf(release: Release & Required<Pick<Release, "relay">>): Promise<RegionContent> {
    const { relay, runtime = this.#runtime, node: name = node } = release;
    const archive = runtimeArchive(runtime, process.arch === "arm64" ? "arm64" : "x64");
    const bytes = await fetchRuntime(archive, runtimeCache, process.env);
    const secrets = release.sealed === true ? secretNames : {};
    const updater = release.updater ?? (await updaterBundle());
    const own = { name, derpPort: 443, stunPort: 3478 };
    const machines = buildMachineFiles(
      { cloud: "hetzner", http: false, admission: {}, ...secrets },
      [own],
      updater,
      archive,
      bytes,
    );
    const units = machines.ofNodes.get(name) ?? new Map<string, Uint8Array>();
    const commands = [...commandUnits(this.server.url)].map(
      ([unit, text]) => [`units/${name}/${unit}`, Buffer.from(text)] as const,
    );
    const withCommands = { ...machines, ofNodes: new Map([[name, new Map([...units, ...commands])]]) };
    const relayConfig = buildRelayConfig({
      hostName,
      listen: ":443",
      stunPort: 3478,
      certificates: "pinned",
      addresses: "",
      http: false,
      admission: { allow: release.allow },
      clientRate: release.clientRate,
      updaterStatusFile,
      secretChannel: "sealed",
      ...secrets,
    });
    return {
      stack,
      region,
      relay,
      allow: release.allow,
      clientRate: release.clientRate,
      machines: withCommands,
      nodes: [{ name, relayConfig }],
    };
  }
}
