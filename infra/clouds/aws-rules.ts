/** What a region's security group lets in. Pure. */
import type { RegionConfig } from "../config/fleet.ts";
import { openPorts } from "./ports.ts";

/** One rule of one family. Of ICMP the ports are type and code, and -1 stands for all. */
export interface IngressRule {
  /** Names the rule among those of its family. */
  readonly name: string;
  readonly description: string;
  readonly family: "ipv4" | "ipv6";
  readonly ipProtocol: string;
  readonly fromPort: number;
  readonly toPort: number;
}

/** Path-MTU errors (RFC 792, type 3 code 4; RFC 4443, type 2) are never turned off, or large packets would be lost. */
const icmp = {
  ipv4: { ipProtocol: "icmp", mtu: { fromPort: 3, toPort: 4 }, echo: { fromPort: 8, toPort: -1 } },
  ipv6: { ipProtocol: "icmpv6", mtu: { fromPort: 2, toPort: -1 }, echo: { fromPort: 128, toPort: -1 } },
} as const;

type Opened = Pick<RegionConfig, "addresses" | "http" | "icmpEcho" | "nodes" | "peerRelayPort">;

/** Lists the rules: DERP, STUN, what the region asks for besides, and ICMP, each family by itself. */
export function listIngress({ addresses, http, icmpEcho, nodes, peerRelayPort }: Opened): IngressRule[] {
  const { tcp, udp } = openPorts(nodes);
  return addresses.flatMap((family) => {
    const at = (description: string, ipProtocol: string, port: number, name = description): IngressRule => ({
      name,
      description,
      family,
      ipProtocol,
      fromPort: port,
      toPort: port,
    });
    const { ipProtocol, mtu, echo } = icmp[family];
    const about = (name: string): Pick<IngressRule, "name" | "description" | "family" | "ipProtocol"> => ({
      name,
      description: name,
      family,
      ipProtocol,
    });
    return [
      ...tcp.map((port) => at("derp", "tcp", port, `derp-${port}`)),
      ...(http ? [at("http", "tcp", 80)] : []),
      ...udp.map((port) => at("stun", "udp", port, `stun-${port}`)),
      ...(peerRelayPort === undefined ? [] : [at("peer-relay", "udp", peerRelayPort)]),
      { ...about("mtu"), ...mtu },
      ...(icmpEcho ? [{ ...about("echo"), ...echo }] : []),
    ];
  });
}
