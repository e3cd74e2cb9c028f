/** What in a derpMap does not agree with the rest of it, whoever uses it. Pure. */
import type { Problem } from "../../relay/errors.ts";
import type { DerpMap } from "./derp-map.ts";

/**
 * Finds ids that do not agree (netcheck files a node's latency under its RegionID, so that another one makes the region
 * look dead) and names that occur twice (clients find nodes by them, over all regions).
 */
export function findContradictions({ Regions }: Pick<DerpMap, "Regions">): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  for (const [key, region] of Object.entries(Regions)) {
    if (region === null) continue;
    const { RegionID, Nodes } = region;
    if (String(RegionID) !== key) {
      problems.push({ path: `Regions.${key}.RegionID`, message: `is ${RegionID}, not ${key}` });
    }
    for (const [index, node] of Nodes.entries()) {
      const path = `Regions.${key}.Nodes[${index}]`;
      if (node.RegionID !== RegionID) {
        problems.push({ path: `${path}.RegionID`, message: `is ${node.RegionID}, not ${RegionID}` });
      }
      const owner = owners.get(node.Name) ?? path;
      owners.set(node.Name, owner);
      if (owner !== path)
        problems.push({ path: `${path}.Name`, message: `is ${node.Name}, and so is ${owner}.Name` });
    }
  }
  return problems;
}
