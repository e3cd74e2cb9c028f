/**
 * Hetzner Cloud. A region has a firewall, which a server has from its first boot on, and a spread placement group; a node
 * has a Primary IP of each family and a volume, which outlive its server.
 *
 * Rules of the cloud that are met here: a Primary IP or a volume is on one server at a time, so a server goes before its
 * successor comes; the IPv6 address is a network, of which the server has the first host; `datacenter` is no longer
 * taken; arm and x86 images have one name.
 */
import process from "node:process";
import * as hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import type { RegionConfig } from "../config/fleet.ts";
import type { Boot, CloudContext, NodeIdentity, OpenCloud, Site } from "./cloud.ts";
import { recordBoot } from "./boot-record.ts";
import { findSizeFault, type SizeOffer } from "./hetzner-sizes.ts";
import { hostInNetwork } from "./ipv6.ts";
import { openPorts, portsOf } from "./ports.ts";

const image = "debian-13";
/** GiB. The smallest that is sold; a node's keys and certificates take some kilobytes. */
const volumeSize = 10;
const everywhere = { ipv4: "0.0.0.0/0", ipv6: "::/0" } as const;

/**
 * Opens Hetzner Cloud.
 *
 * @throws KitError `cloud-credentials`, `cloud-unreachable`, or `size-unavailable` for machines that are not there yet
 */
export const openHetznerCloud = (async (regions, context) => {
  if (!context.offline) {
    requireToken();
    checkSizes(regions, await listOffers(), context);
  }
  return { createSite: (region, name, options) => createSite(region, name, context.stack, options) };
}) satisfies OpenCloud;

function requireToken(): void {
  const token = new pulumi.Config("hcloud").get("token") ?? process.env["HCLOUD_TOKEN"];
  if (token !== undefined && token !== "") return;
  throw new KitError("cloud-credentials", {
    message: "There is no token for Hetzner Cloud.",
    fix: "Set HCLOUD_TOKEN, or run `pulumi config set --secret hcloud:token`; the token needs to read and write.",
  });
}

async function listOffers(): Promise<readonly SizeOffer[]> {
  try {
    return (await hcloud.getServerTypes()).serverTypes;
  } catch (cause) {
    throw new KitError("cloud-unreachable", {
      message: `Hetzner Cloud does not say what it sells: ${firstLine(cause)}`,
      fix: "Check the token (HCLOUD_TOKEN or hcloud:token) and the network, and try again.",
    });
  }
}

/** A machine that is there may have a size that is sold no more. */
function checkSizes(
  regions: readonly RegionConfig[],
  offers: readonly SizeOffer[],
  { previous, now }: CloudContext,
): void {
  const problems = regions.flatMap(({ id, location, size, nodes }) => {
    const isThere = nodes.every(({ name }) =>
      previous.some((node) => node.name === name && node.location === location && node.size === size),
    );
    const fault = isThere ? undefined : findSizeFault(size, location, offers, now);
    return fault === undefined ? [] : [{ path: `region ${id}`, message: fault }];
  });
  if (problems.length > 0) throw new KitError("size-unavailable", { problems });
}

function createSite(
  { id, code, location, size, addresses, generation, http, peerRelayPort, nodes }: RegionConfig,
  name: string,
  stack: string,
  options: pulumi.CustomResourceOptions,
): Site {
  const labels = { "derpkit-region": String(id), "derpkit-stack": stack };
  const { tcp, udp } = openPorts(nodes);
  const sourceIps = addresses.map((family) => everywhere[family]).sort();
  const open = (protocol: "tcp" | "udp", port: number, description: string) => ({
    direction: "in",
    protocol,
    port: String(port),
    sourceIps,
    description,
  });
  const firewall = new hcloud.Firewall(
    `${name}-firewall`,
    {
      labels,
      rules: [
        ...tcp.map((port) => open("tcp", port, "DERP")),
        ...(http ? [open("tcp", 80, "HTTP")] : []),
        ...udp.map((port) => open("udp", port, "STUN")),
        ...(peerRelayPort === undefined ? [] : [open("udp", peerRelayPort, "peer relay")]),
        // Echo and path-MTU errors cannot be told apart here; a machine that is not to answer ping says so itself.
        { direction: "in", protocol: "icmp", sourceIps, description: "path MTU and ping" },
      ],
    },
    options,
  );
  const group = new hcloud.PlacementGroup(`${name}-spread`, { type: "spread", labels }, options);
  const placementGroupId = group.id.apply(Number);

  return {
    createIdentity(node, prefix, own): NodeIdentity {
      const nodeLabels = { ...labels, "derpkit-node": node.name };
      const ports = portsOf(node);
      const keep = (type: "ipv4" | "ipv6"): hcloud.PrimaryIp | undefined =>
        addresses.includes(type)
          ? new hcloud.PrimaryIp(
              `${prefix}-${type}`,
              { type, location, assigneeType: "server", autoDelete: false, labels: nodeLabels },
              own,
            )
          : undefined;
      const [v4, v6] = [keep("ipv4"), keep("ipv6")];
      const volume = new hcloud.Volume(
        `${prefix}-volume`,
        { location, size: volumeSize, labels: nodeLabels },
        own,
      );
      const ipv4 = v4?.ipAddress ?? "none";
      const ipv6 = v6?.ipNetwork.apply(hostInNetwork) ?? "none";
      if (node.hostName !== undefined) {
        for (const [type, ip, ipAddress] of [
          ["ipv4", v4, ipv4],
          ["ipv6", v6, ipv6],
        ] as const) {
          if (ip === undefined) continue;
          const reverse = { primaryIpId: ip.id.apply(Number), ipAddress, dnsPtr: node.hostName };
          new hcloud.Rdns(`${prefix}-reverse-${type}`, reverse, own);
        }
      }
      const createMachine = ({ userData, after }: Boot, machine: pulumi.CustomResourceOptions): void => {
        const first = { ...machine, deleteBeforeReplace: true };
        const boot = recordBoot(
          prefix,
          generation,
          volume.linuxDevice.apply((device) => ({ image, userData: userData(device) })),
          machine,
        );
        const server = new hcloud.Server(
          `${prefix}-server`,
          {
            serverType: size,
            location,
            image: boot.apply((made) => made.image),
            userData: boot.apply((made) => made.userData),
            firewallIds: [firewall.id.apply(Number)],
            placementGroupId,
            publicNets: [
              {
                ipv4Enabled: v4 !== undefined,
                ...(v4 === undefined ? {} : { ipv4: v4.id.apply(Number) }),
                ipv6Enabled: v6 !== undefined,
                ...(v6 === undefined ? {} : { ipv6: v6.id.apply(Number) }),
              },
            ],
            shutdownBeforeDeletion: true,
            labels: { ...nodeLabels, "derpkit-region-code": code },
          },
          { ...first, dependsOn: [...after], ignoreChanges: ["sshKeys"] },
        );
        const attachment = {
          volumeId: volume.id.apply(Number),
          serverId: server.id.apply(Number),
          automount: false,
        };
        new hcloud.VolumeAttachment(`${prefix}-attachment`, attachment, first);
      };
      return { ...ports, ipv4, ipv6, listen: `:${ports.derpPort}`, createMachine };
    },
  };
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^Error: |^invocation of \S+ returned an error: /, "").split("\n", 1)[0] ?? "";
}
