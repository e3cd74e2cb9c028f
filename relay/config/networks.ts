/** Networks of IP addresses in CIDR notation. */
import { BlockList, isIP, isIPv4 } from "node:net";

/** Each family is for itself: in one list `::/0` would hold every IPv4 address, unlike in Go. */
export interface Networks {
  readonly ipv4: BlockList;
  readonly ipv6: BlockList;
}

/** @param cidrs such as `10.0.0.0/8` and `fd00::/8`, checked */
export function buildNetworks(cidrs: readonly string[]): Networks {
  const networks = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const cidr of cidrs) {
    const [address = "", bits] = cidr.split("/");
    const family = familyOf(address);
    networks[family].addSubnet(address, Number(bits), family);
  }
  return networks;
}

/** @param address in the form of `normaliseIp` */
export function contains(networks: Networks, address: string): boolean {
  const family = familyOf(address);
  return networks[family].check(address, family);
}

/** Parses a list of networks, with commas between and empty places allowed; what is no network comes back as a mistake. */
export function parseNetworkList(text: string): { cidrs: string[]; mistakes: string[] } {
  const places = text.split(",").map((place) => place.trim());
  const cidrs = places.filter(isCidr);
  return { cidrs, mistakes: places.filter((place) => place !== "" && !cidrs.includes(place)) };
}

/** As Go's netip.ParsePrefix: no zone, and a number of bits without leading zeros. */
function isCidr(text: string): boolean {
  const [, address = "", bits] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128);
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}
