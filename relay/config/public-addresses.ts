/** Which addresses the Internet can reach, going by IANA's registries of special-purpose addresses (RFC 6890). Pure. */
import { normaliseIp } from "../ip-address.ts";
import { buildNetworks, contains } from "./networks.ts";

const special = buildNetworks([
  "0.0.0.0/8", // this network
  "10.0.0.0/8",
  "100.64.0.0/10", // carriers' NAT, and Tailscale
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays, given up
  "192.168.0.0/16",
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3", // multicast and reserved
  "2001::/23", // protocol assignments, Teredo among them
  "2001:db8::/32",
  "2002::/16", // 6to4
  "3fff::/20", // documentation
]);
/** All of IPv6 that has been given out. */
const given = buildNetworks(["0.0.0.0/0", "2000::/3"]);

/** Tells whether the Internet knows a way to this address. What is no address has none. */
export function isPublicAddress(text: string): boolean {
  const address = normaliseIp(text);
  return address !== undefined && contains(given, address) && !contains(special, address);
}
