/** Assembles the derpMap. Pure. */
import type { DerpMap, DerpNode, DerpRegion, HomeParams } from "./derp-map.ts";

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
 * How clients are moved out of a region that drains.
 *
 * `noMeasureNoHome`: they measure it no more, and those who are idle leave. `score`: its latency counts a hundred times, which
 * moves the busy ones too at their next look, and closes no connection; only some control servers hand it on.
 */
export type DrainBy = "noMeasureNoHome" | "score";

/** What the map says beyond its own regions. */
export interface MapPolicy {
  readonly drainBy?: DrainBy;
  readonly omitDefaultRegions?: boolean;
  /** Ids of Tailscale's own regions that clients shall not have. */
  readonly dropTailscaleRegions?: readonly number[];
}

/** Whoever is at home there finds any other region better. */
const drainScore = 100;
/** A region that is measured as it is. Clients keep a score of which they are told no more, so that it has to be said. */
const plainScore = 1;

/**
 * Builds the derpMap of regions: ids ascending, nodes in the given order, which is the order in which clients try them.
 *
 * Keys are in the order in which Go prints a map, so that the text is the same wherever it is printed.
 */
export function buildDerpMap<Text>(
  regions: readonly MapRegion<Text>[],
  { drainBy = "noMeasureNoHome", omitDefaultRegions = false, dropTailscaleRegions = [] }: MapPolicy = {},
): DerpMap<Text> {
  const ascending = [...regions].sort((a, b) => a.id - b.id);
  return {
    ...(drainBy === "score" && ascending.length > 0 ? { HomeParams: buildScores(ascending) } : {}),
    ...(omitDefaultRegions ? { OmitDefaultRegions: true } : {}),
    // Whole numbers as keys are in ascending order in every object.
    Regions: Object.fromEntries<DerpRegion<Text> | null>([
      ...dropTailscaleRegions.map((id) => [String(id), null] as const),
      ...ascending.map((region) => [String(region.id), buildRegion(region, drainBy)] as const),
    ]),
  };
}

function buildScores(regions: readonly Pick<MapRegion, "id" | "state">[]): HomeParams {
  const scores = regions.map(
    ({ id, state }) => [String(id), state === "draining" ? drainScore : plainScore] as const,
  );
  return { RegionScore: Object.fromEntries(scores) };
}

/** Builds a region's part of the map. Nobody makes a canary their home, nor one that drains; both can be reached. */
export function buildRegion<Text>(
  { id, code, name, state, nodes }: MapRegion<Text>,
  drainBy: DrainBy = "noMeasureNoHome",
): DerpRegion<Text> {
  const isHome = state === "serving" || (state === "draining" && drainBy === "score");
  return {
    ...(isHome ? {} : { NoMeasureNoHome: true }),
    Nodes: nodes.map((node) => buildNode(id, node)),
    RegionCode: code,
    RegionID: id,
    RegionName: name,
  };
}

/** Builds a node's part of the map. */
export function buildNode<Text>(regionId: number, node: MapNode<Text>): DerpNode<Text> {
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
