/** Assembles the derpMap. Pure. */
import type { DerpMap, DerpNode, DerpRegion } from "./derp-map.ts";

/** Stands for the pin of a node that nobody has looked at yet. */
export const pendingPin = "pending";

/** As much of a region as the derpMap shows. */
export interface MapRegion<Text = string> {
  readonly id: number;
  readonly code: string;
  readonly name: string;
  readonly state: "canary" | "serving" | "draining" | "retired";
  /** True if it was not shown to serve. */
  readonly isUnproven?: boolean;
  readonly nodes: readonly MapNode<Text>[];
}

/** As much of a node as the derpMap shows. */
export interface MapNode<Text = string> {
  readonly name: string;
  readonly hostName: Text;
  /** May be `pendingPin`. */
  readonly certName: string;
  readonly ipv4: Text;
  readonly ipv6: Text;
  readonly derpPort: number;
  readonly stunPort: number;
}

/** True if clients may be told of a region: it is not retired, its gate is not skipped, and nothing of it is still unknown. */
export function isPublished({
  state,
  isUnproven = false,
  nodes,
}: Pick<MapRegion<unknown>, "state" | "isUnproven" | "nodes">): boolean {
  return state !== "retired" && !isUnproven && nodes.every(({ certName }) => certName !== pendingPin);
}

/**
 * Builds the derpMap of regions: ids ascending, nodes in the given order, which is the order in which clients try them.
 *
 * Keys are in the order in which Go prints a map, so that the text is the same wherever it is printed.
 */
export function buildDerpMap<Text>(regions: readonly MapRegion<Text>[]): DerpMap<Text> {
  const ascending = [...regions].sort((a, b) => a.id - b.id);
  return { Regions: Object.fromEntries(ascending.map((region) => [String(region.id), buildRegion(region)])) };
}

/** Nobody makes a canary their home, nor stays at home in a region that drains; both can still be reached there. */
function buildRegion<Text>({ id, code, name, state, nodes }: MapRegion<Text>): DerpRegion<Text> {
  return {
    ...(state === "serving" ? {} : { NoMeasureNoHome: true }),
    Nodes: nodes.map((node) => buildNode(id, node)),
    RegionCode: code,
    RegionID: id,
    RegionName: name,
  };
}

function buildNode<Text>(regionId: number, node: MapNode<Text>): DerpNode<Text> {
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
