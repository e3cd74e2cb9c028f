/** Assembles the derpMap. Pure. */
import type { DerpMap, DerpNode, DerpRegion } from "./derp-map.ts";

/** As much of a region as the derpMap shows. */
export interface MapRegion {
  readonly id: number;
  readonly code: string;
  readonly name: string;
  readonly nodes: readonly MapNode[];
}

/** As much of a node as the derpMap shows. */
export interface MapNode {
  readonly name: string;
  readonly hostName: string;
  readonly certName: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly derpPort: number;
  readonly stunPort: number;
}

/**
 * Builds the derpMap of regions: ids ascending, nodes in the given order, which is the order in which clients try them.
 *
 * Keys are in the order in which Go prints a map, so that the text is the same wherever it is printed.
 */
export function buildDerpMap(regions: readonly MapRegion[]): DerpMap {
  const ascending = [...regions].sort((a, b) => a.id - b.id);
  return { Regions: Object.fromEntries(ascending.map((region) => [String(region.id), buildRegion(region)])) };
}

function buildRegion({ id, code, name, nodes }: MapRegion): DerpRegion {
  return {
    Nodes: nodes.map((node) => buildNode(id, node)),
    RegionCode: code,
    RegionID: id,
    RegionName: name,
  };
}

function buildNode(regionId: number, node: MapNode): DerpNode {
  return {
    CertName: node.certName,
    DERPPort: node.derpPort,
    HostName: node.hostName,
    IPv4: node.ipv4,
    IPv6: node.ipv6,
    Name: node.name,
    RegionID: regionId,
    STUNPort: node.stunPort,
  };
}
