/**
 * The cloud that needs none: this machine. Nodes are relays on 127.0.0.1 with ports of their own, and clients pin their
 * self-signed certificates.
 *
 * The adapter describes and starts nothing: `npm start` does. Ports, certificates and pins are chosen once and kept, so
 * that preview, up, plan and start see the same fleet.
 */
import { randomBytes, randomInt, X509Certificate } from "node:crypto";
import { join, relative } from "node:path";
import { KitError } from "../../relay/errors.ts";
import {
  type CertificatePaths,
  certificatePaths,
  findPairFault,
} from "../../relay/config/certificate-files.ts";
import { isErrno, readIfThere, readOrMake, writeWhole } from "../../relay/config/files.ts";
import { certificatePin, createSelfSigned, pinnedValidity } from "../../relay/crypto/self-signed.ts";
import type { NodeConfig, RegionConfig } from "../config/fleet.ts";
import type { Cloud, CloudContext } from "./cloud.ts";
import { chooseFreePort } from "./free-port.ts";
import {
  type KeptNode,
  type KeptNodes,
  meshKeyFile,
  nodeStateFolder,
  readKept,
  readKeptOfOthers,
  withLock,
  writeKept,
} from "./local-files.ts";

/**
 * Opens this machine as a cloud.
 *
 * @throws KitError `file-unreadable` if a kept file is damaged or cannot be written
 */
export async function openLocalCloud(
  regions: readonly Pick<RegionConfig, "id" | "nodes">[],
  context: CloudContext,
): Promise<Cloud> {
  const nodes = regions.flatMap((region) => region.nodes.map(nameNode));
  const kept = await keepNodes(nodes, context);
  const { root, stack } = context;
  const meshKeyOf = new Map<string, string>();
  for (const { id, nodes: own } of regions.filter((region) => region.nodes.length > 1)) {
    const file = meshKeyFile(root, stack, id);
    await readOrMake(file, makeMeshKey, "The mesh key of a local region cannot be read or made.");
    for (const { name } of own) meshKeyOf.set(name, relative(nodeStateFolder(root, stack, name), file));
  }
  context.log.info(`local nodes are described, not started: npm start -- --stack ${context.stack}`);
  const site = {
    createIdentity: ({ name }: NodeConfig) => {
      const facts = kept.get(name);
      if (facts === undefined) throw new Error(`the local cloud was not opened for node ${name}`);
      const { certName, derpPort, stunPort } = facts;
      const meshKey = meshKeyOf.get(name);
      return {
        certName,
        derpPort,
        ...(meshKey === undefined ? {} : { meshKeyFile: meshKey }),
        stunPort,
        ipv4: "127.0.0.1",
        ipv6: "none",
        listen: `127.0.0.1:${derpPort}`,
      };
    },
  };
  return { createSite: () => site };
}

function makeMeshKey(): string {
  return `${randomBytes(32).toString("hex")}\n`;
}

/** A node on this machine: its address is everybody's here, so it has a name. */
type LocalNode = NodeConfig & { readonly hostName: string };

function nameNode({ hostName, ...node }: NodeConfig): LocalNode {
  if (hostName === undefined) throw new Error(`the local node ${node.name} has no host name`);
  return { ...node, hostName };
}

async function keepNodes(nodes: readonly LocalNode[], context: CloudContext): Promise<KeptNodes> {
  const { root, stack } = context;
  try {
    return await withLock(root, async () => {
      const kept = await readKept(root, stack);
      const others = await readKeptOfOthers(root, stack);
      const derpPortOf = keepPorts("derpPort", nodes, kept, others);
      const stunPortOf = keepPorts("stunPort", nodes, kept, others);
      const settled = new Map(kept);
      for (const node of nodes) {
        settled.set(node.name, {
          certName: await keepCertificate(node, kept.get(node.name), context),
          derpPort: await derpPortOf(node),
          hostName: node.hostName,
          stunPort: await stunPortOf(node),
        });
      }
      await writeKept(root, stack, settled);
      return settled;
    });
  } catch (cause) {
    if (!isErrno(cause)) throw cause;
    throw new KitError("file-unreadable", {
      message: "The files of a local stack cannot be read or written.",
      where: cause.path ?? root,
      cause,
    });
  }
}

/** Gives each node its port: the configured one, else the one it has had, else a free one that nobody else has had. */
function keepPorts(
  key: "derpPort" | "stunPort",
  nodes: readonly LocalNode[],
  kept: KeptNodes,
  others: readonly KeptNode[],
): (node: LocalNode) => Promise<number> {
  const configured = new Set(nodes.flatMap((node) => node[key] ?? []));
  const taken = new Set([...configured, ...[...kept.values(), ...others].map((node) => node[key])]);
  return async (node) => {
    const before = kept.get(node.name)?.[key];
    const keepable = before !== undefined && !configured.has(before) ? before : undefined;
    const port =
      node[key] ?? keepable ?? (await chooseFreePort(key === "derpPort" ? "tcp" : "udp", taken, randomInt));
    taken.add(port);
    return port;
  };
}

/**
 * Sees to it that a node has a certificate that clients will accept, and returns its pin.
 *
 * A new pin cuts clients off until they have the new derpMap, so it is made only where the old one is of no use, and
 * never silently.
 */
async function keepCertificate(
  { name, hostName }: LocalNode,
  kept: KeptNode | undefined,
  { root, stack, now, log }: CloudContext,
): Promise<string> {
  const paths = certificatePaths(join(nodeStateFolder(root, stack, name), "certs"), hostName);
  const found = await inspectCertificate(paths, hostName, now, kept);
  if ("pin" in found) return found.pin;
  const made = createSelfSigned({ hostName, ...pinnedValidity(now) });
  await writeWhole(paths.key, made.keyPem, 0o600);
  await writeWhole(paths.crt, made.certificatePem, 0o644);
  if (kept !== undefined) {
    log.warn(
      `node ${name} has a new certificate and pin, and clients need the new derpMap: the old one ${found.flaw}`,
    );
  }
  return made.pin;
}

const day = 24 * 60 * 60 * 1000;

/** Looks at a node's certificate files: their pin if they serve, what is wrong with them if they do not. */
async function inspectCertificate(
  paths: CertificatePaths,
  hostName: string,
  now: Date,
  kept: KeptNode | undefined,
): Promise<{ pin: string } | { flaw: string }> {
  if (kept !== undefined && kept.hostName !== hostName) return { flaw: `was for ${kept.hostName}` };
  const [chain, key] = await Promise.all([readIfThere(paths.crt), readIfThere(paths.key)]);
  if (chain === undefined || key === undefined) return { flaw: "is missing" };
  const flaw = findPairFault({ chain, key }, hostName, now);
  if (flaw !== undefined) return { flaw };
  const certificate = new X509Certificate(chain);
  if (certificate.validToDate.getTime() < now.getTime() + 30 * day) return { flaw: "is about to expire" };
  const pin = certificatePin(certificate.raw);
  return kept === undefined || kept.certName === pin ? { pin } : { flaw: "is not the one that was pinned" };
}
