/** Sees to it, before anything is started, that the ports of all relays are free. */
import type { FleetNode } from "../../infra/clouds/cloud.ts";
import { findPortFault } from "../../infra/clouds/free-port.ts";
import { KitError, type Problem } from "../../relay/errors.ts";

/**
 * Tries each node's TCP and UDP port.
 *
 * @throws KitError `port-in-use` naming every port that cannot be had, and whose it should be
 */
export async function requireFreePorts(nodes: readonly FleetNode[]): Promise<void> {
  const problems = (await Promise.all(nodes.map(problemsOf))).flat();
  if (problems.length === 0) return;
  throw new KitError("port-in-use", {
    message: "Not every port that the relays need can be had.",
    fix: "Stop the program that holds it, perhaps another npm start of this stack, or choose another port in the stack file.",
    problems,
  });
}

async function problemsOf({ name, ipv4, derpPort, stunPort }: FleetNode): Promise<Problem[]> {
  const path = `node ${name}`;
  const [tcp, udp] = await Promise.all([
    findPortFault("tcp", ipv4, derpPort),
    findPortFault("udp", ipv4, stunPort),
  ]);
  return [
    ...(tcp === undefined ? [] : [{ path, message: `TCP ${ipv4}:${derpPort} (DERP) ${tcp}` }]),
    ...(udp === undefined ? [] : [{ path, message: `UDP ${ipv4}:${stunPort} (STUN) ${udp}` }]),
  ];
}
