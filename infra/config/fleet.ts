/** The configuration as the program uses it: checked, with every default in place. */
import type { CheckedFleet, CloudName } from "./schema.ts";

export interface FleetConfig {
  readonly domain: string;
  readonly regions: readonly RegionConfig[];
}

export interface RegionConfig {
  /** 900-999. */
  readonly id: number;
  readonly code: string;
  readonly name: string;
  readonly cloud: CloudName;
  /** In the order in which clients try them. */
  readonly nodes: readonly NodeConfig[];
}

export interface NodeConfig {
  readonly name: string;
  readonly hostName: string;
  /** Undefined: the cloud chooses. */
  readonly derpPort: number | undefined;
  readonly stunPort: number | undefined;
}

/** Fills in the defaults that depend on other keys. */
export function buildFleetConfig({ domain, regions }: CheckedFleet): FleetConfig {
  return {
    domain,
    regions: regions.map(({ nodes, ...region }) => ({
      ...region,
      nodes: nodes.map(({ name: given, hostName, derpPort, stunPort }, index) => {
        const name = given ?? defaultNodeName(region.id, index);
        return { name, hostName: hostName ?? defaultHostName(name, domain), derpPort, stunPort };
      }),
    })),
  };
}

/** `901a` for the first node of region 901, `901b` for the second. */
export function defaultNodeName(regionId: number, index: number): string {
  return `${regionId}${String.fromCharCode("a".charCodeAt(0) + index)}`;
}

export function defaultHostName(nodeName: string, domain: string): string {
  return `${nodeName}.${domain}`;
}
