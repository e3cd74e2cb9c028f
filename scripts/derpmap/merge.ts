/** Several maps as one. Pure. */
import { isIP } from "node:net";
import type { DerpMap, DerpNode, DerpRegion } from "../../infra/derpmap/derp-map.ts";
import type { Problem } from "../../relay/errors.ts";
import { normaliseIp } from "../../relay/ip-address.ts";

/** A map, and whose it is. */
export interface OwnedMap {
  /** As messages name it: `stack eu`, or `file map.json`. */
  readonly owner: string;
  readonly map: DerpMap;
  /** Ids of the regions on this machine, which share its address. */
  readonly local: ReadonlySet<number>;
}

export interface Merged {
  readonly map: DerpMap;
  /** What two regions claim, each with both owners. None: the map is that of all. */
  readonly collisions: readonly Problem[];
}

/**
 * Merges maps: the regions of all, in the order of their ids. What one leaves out of Tailscale's own regions, the whole
 * leaves out.
 */
export function mergeMaps(sources: readonly OwnedMap[]): Merged {
  const claims = new Claims();
  const regions: (readonly [id: string, region: DerpRegion | null])[] = [];
  const scores: Record<string, number> = {};
  const omits = sources.some(({ map }) => map.OmitDefaultRegions === true);
  for (const { owner, map, local } of sources) {
    for (const [id, region] of Object.entries(map.Regions)) {
      if (region !== null) claimRegion(claims, region, owner, local.has(region.RegionID));
      // Where all are left out, there is no single one to leave out.
      if (region !== null || !omits) regions.push([id, region]);
    }
    Object.assign(scores, map.HomeParams?.RegionScore);
  }
  const map = {
    ...(Object.keys(scores).length > 0 ? { HomeParams: { RegionScore: scores } } : {}),
    ...(omits ? { OmitDefaultRegions: true } : {}),
    Regions: Object.fromEntries(regions),
  };
  return { map, collisions: claims.problems };
}

function claimRegion(claims: Claims, region: DerpRegion, owner: string, isLocal: boolean): void {
  const { RegionID, RegionCode, Nodes } = region;
  const what = `region ${RegionID} (${RegionCode}) of ${owner}`;
  claims.claim("id", String(RegionID), what);
  claims.claim("code", RegionCode, what);
  for (const node of Nodes) {
    const which = `node ${node.Name} of ${owner}`;
    claims.claim("name", node.Name, which);
    for (const address of listPlaces(node, isLocal)) claims.claim("address", address, which);
  }
}

/** On one machine relays are told apart by their ports; elsewhere no two have the same address. */
function listPlaces({ HostName, IPv4, IPv6, DERPPort }: DerpNode, isLocal: boolean): ReadonlySet<string> {
  const addresses = [HostName, IPv4, IPv6]
    .filter((text) => isIP(text) !== 0)
    .map((text) => normaliseIp(text) ?? text);
  return new Set(addresses.map((address) => (isLocal ? `${address} port ${DERPPort}` : address)));
}

/** Remembers who claimed what first. */
class Claims {
  readonly problems: Problem[] = [];
  readonly #owners = new Map<string, string>();

  claim(kind: string, value: string, claimant: string): void {
    const key = `${kind} ${value}`;
    const owner = this.#owners.get(key);
    if (owner === undefined) this.#owners.set(key, claimant);
    else this.problems.push({ path: claimant, message: `has the ${key}, and so has ${owner}` });
  }
}
