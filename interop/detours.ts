/** Where the kit's commands find the relays here that stand for the machines of clouds on loopback. */
import type { RelayPlace } from "./relay-process.ts";

/** The ports at which a stack has a node serve: they tell the nodes apart, as which gets which address is the cloud's affair. */
export interface PublicPorts {
  readonly derp: number;
  readonly stun: number;
}

/** More than a cloud gives in any test. */
const givenAtMost = 40;

/**
 * Leads from all addresses that a cloud may give to a relay here.
 *
 * @param network the first three numbers of the addresses: 203.0.113 at Hetzner, 192.0.2 at AWS
 * @returns each as DERPKIT_CONNECT_TO has it, between commas
 */
export function leadTo(
  { derpPort, stunPort }: Pick<RelayPlace, "derpPort" | "stunPort">,
  network: string,
  { derp, stun }: PublicPorts,
): string[] {
  return Array.from({ length: givenAtMost }, (_, index) => `${network}.${index + 1}`).flatMap((address) => [
    `${address}:${derp}=127.0.0.1:${derpPort}`,
    `${address}:${stun}=127.0.0.1:${stunPort}`,
  ]);
}
