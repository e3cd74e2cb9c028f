/** What is verified: a node of a derpMap. Pure. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { type DerpMap, type DerpNode, regionsOf } from "../../infra/derpmap/derp-map.ts";

export type Family = "ipv4" | "ipv6";

export interface Target {
  readonly node: DerpNode;
  /** The region's code. */
  readonly region: string;
}

export interface Selection {
  /** Names of nodes. */
  readonly nodes?: readonly string[];
  /** Codes or ids of regions. */
  readonly regions?: readonly string[];
}

/** Lists the nodes of a map in its order; of a selection, those that every given list names. */
export function listTargets(map: DerpMap, { nodes, regions }: Selection = {}): Target[] {
  return regionsOf(map)
    .filter(
      ({ RegionCode, RegionID }) =>
        regions?.some((wanted) => [RegionCode, String(RegionID)].includes(wanted)) ?? true,
    )
    .flatMap(({ RegionCode, Nodes }) => Nodes.map((node) => ({ node, region: RegionCode })))
    .filter(({ node }) => nodes?.includes(node.Name) ?? true);
}

/**
 * The families over which clients reach a node, and its address in each: `undefined` where they ask DNS. A text that is
 * no address of the family, such as `none`, switches the family off. A HostName that is an address needs no other.
 */
export function listAddresses({
  HostName,
  IPv4,
  IPv6,
}: DerpNode): { family: Family; address: string | undefined }[] {
  const literal = isIP(HostName) === 0 ? undefined : HostName;
  const families = [
    { family: "ipv4", address: IPv4 || literal, isOfFamily: isIPv4 },
    { family: "ipv6", address: IPv6 || literal, isOfFamily: isIPv6 },
  ] as const;
  return families
    .filter(({ address, isOfFamily }) => address === undefined || isOfFamily(address))
    .map(({ family, address }) => ({ family, address }));
}
