/** The ports of relays that have a machine of their own. Pure. */
import type { NodeConfig } from "../config/fleet.ts";

type Ports = Pick<NodeConfig, "derpPort" | "stunPort">;

/** A node's ports: those of the protocols, where it was given none. */
export function portsOf({ derpPort = 443, stunPort = 3478 }: Ports): {
  readonly derpPort: number;
  readonly stunPort: number;
} {
  return { derpPort, stunPort };
}

/** What a firewall opens for some nodes, each port once and in ascending order. */
export function openPorts(nodes: readonly Ports[]): { readonly tcp: number[]; readonly udp: number[] } {
  const ports = nodes.map(portsOf);
  return {
    tcp: distinct(ports.map(({ derpPort }) => derpPort)),
    udp: distinct(ports.map(({ stunPort }) => stunPort)),
  };
}

function distinct(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
