/** Where a relay reaches itself. Pure. */
import { normaliseIp } from "../ip-address.ts";

/** What a listener on every address is asked at; one on `::` takes IPv4 as well. */
const insteadOf: Readonly<Record<string, readonly string[]>> = {
  "0.0.0.0": ["127.0.0.1"],
  "::": ["127.0.0.1", "::1"],
};

/**
 * The addresses to ask a listener at: the one that it is bound to, or loopback if it is bound to all, of IPv4 alone or
 * of both families as the listener is.
 *
 * @param bound the listener's address
 * @param present the machine's addresses; a family that loopback lacks cannot be asked
 */
export function ownAddresses(bound: string, present: readonly string[]): string[] {
  const instead = insteadOf[normaliseIp(bound) ?? ""];
  return instead?.filter((address) => present.includes(address)) ?? [bound];
}
