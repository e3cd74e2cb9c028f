/** A stack's relays on this machine: published, installed by their updaters, running, and stopped together. */
import type { KeyObject } from "node:crypto";
import { dirname, join } from "node:path";
import { createSecureContext } from "node:tls";
import type { FleetNode } from "../../infra/clouds/cloud.ts";
import { localFolder, nodeStateFolder } from "../../infra/clouds/local-files.ts";
import type { KitError } from "../../relay/errors.ts";
import { renderUpdaterEvent } from "../../relay/updater/event.ts";
import { folderSource } from "../../relay/updater/source.ts";
import { startUpdater, type Updater } from "../../relay/updater/updater.ts";
import { publishRegionBundle } from "../../infra/delivery/region-bundle.ts";
import type { RelayBundle } from "../../infra/delivery/relay-bundle.ts";
import { trustedKeyOf } from "../build/signing-key.ts";
import { createChildService } from "./child-service.ts";

export interface LocalFleetOptions {
  /** Folder of the project, where `.derpkit/` is. */
  readonly root: string;
  readonly stack: string;
  readonly nodes: readonly FleetNode[];
  readonly relay: RelayBundle;
  readonly signingKey: KeyObject;
  /** A line of a node's updater or relay. */
  readonly log: (node: string, line: string) => void;
  /** A relay ended and nobody asked it to. Called once per death. */
  readonly died: (error: KitError) => void;
}

export interface LocalFleet extends AsyncDisposable {
  /**
   * Resolves when every node runs what was published and is healthy.
   *
   * @throws KitError of the first node that does not
   */
  readonly ready: Promise<void>;
}

/** How often a node looks for a new release. A folder costs nothing, and whoever watches waits for it. */
const pollIntervalMs = 2_000;
const healthLimitMs = 20_000;

/** Local relays are pinned: no authority is asked. */
const pinsOnly = createSecureContext({ minVersion: "TLSv1.3" });

/** Signs and publishes each region's bundle to the folder its nodes fetch from. */
export async function publishRegions(options: LocalFleetOptions): Promise<void> {
  const { root, stack, nodes, relay, signingKey } = options;
  for (const [region, own] of Map.groupBy(nodes, (node) => node.regionCode)) {
    const content = { stack, region, relay, nodes: own };
    await publishRegionBundle(content, deliveryFolder(root, stack, region), signingKey);
  }
}

/** Starts an updater for each node. They fetch, verify and start their relays, and go on looking for newer releases. */
export function startLocalFleet(options: LocalFleetOptions): LocalFleet {
  const members = options.nodes.map((node) => startMember(node, options));
  return {
    ready: Promise.all(members.map(({ updater }) => updater.ready)).then(() => {}),
    async [Symbol.asyncDispose]() {
      await Promise.all(
        members.map(async ({ updater, stopRelay }) => {
          await updater.stop();
          await stopRelay();
        }),
      );
    },
  };
}

function startMember(
  node: FleetNode,
  options: LocalFleetOptions,
): { readonly updater: Updater; readonly stopRelay: () => Promise<void> } {
  const { root, stack, signingKey, died } = options;
  const { name, regionCode: region, hostName, certName, derpPort: port, ipv4: address } = node;
  const log = (line: string): void => options.log(name, line);
  const stateDirectory = nodeStateFolder(root, stack, name);
  const route = { endpoint: { address, port }, identity: { hostName, certName }, trust: pinsOnly };
  const service = createChildService({ node: name, route, stateDirectory, log, died });
  const updater = startUpdater({
    stack,
    region,
    node: name,
    source: folderSource(deliveryFolder(root, stack, region)),
    trustedKeys: [trustedKeyOf(signingKey)],
    root: dirname(stateDirectory),
    service,
    log: (event) => log(renderUpdaterEvent(event)),
    pollInterval: pollIntervalMs,
    healthLimit: healthLimitMs,
    retryFailed: true,
    auditDelivery: true,
  });
  return { updater, stopRelay: () => service.stop() };
}

function deliveryFolder(root: string, stack: string, region: string): string {
  return join(localFolder(root), stack, "delivery", region);
}
