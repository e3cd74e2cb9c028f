/** derpMaps whose only regions are the relays of a suite. */
import { type DerpMap, type DerpNode } from "../infra/derpmap/derp-map.ts";

/** A relay on loopback, or on a machine of a test. */
export interface TestNode {
  readonly name: string;
  readonly region: number;
  readonly hostName: string;
  /** Empty if an authority vouches for the certificate. */
  readonly certName: string;
  readonly derpPort: number;
  readonly stunPort: number;
  /** IPv4; 127.0.0.1 by default. */
  readonly address?: string;
  /** It listens on ::1 too. */
  readonly ipv6?: boolean;
}

export interface TestMap extends DerpMap {
  readonly OmitDefaultRegions: true;
}

/** Builds the map; a region's nodes keep their order. */
export function buildTestMap(nodes: readonly TestNode[]): TestMap {
  const regions = Map.groupBy(nodes, ({ region }) => region);
  const entries = [...regions].map(([id, members]) => [
    id,
    { RegionID: id, RegionCode: `r${id}`, RegionName: `Region ${id}`, Nodes: members.map(buildNode) },
  ]);
  return { OmitDefaultRegions: true, Regions: Object.fromEntries(entries) };
}

function buildNode({
  name,
  region,
  hostName,
  certName,
  derpPort,
  stunPort,
  address = "127.0.0.1",
  ipv6 = false,
}: TestNode): DerpNode {
  return {
    Name: name,
    RegionID: region,
    HostName: hostName,
    CertName: certName,
    IPv4: address,
    IPv6: ipv6 ? "::1" : "none",
    STUNPort: stunPort,
    DERPPort: derpPort,
  };
}
