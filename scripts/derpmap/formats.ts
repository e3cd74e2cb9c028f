/** A derpMap as text, for those who read it. Pure. */
import { Document } from "yaml";
import { type DerpMap, type DerpRegion, regionsOf } from "../../infra/derpmap/derp-map.ts";

/** `tailnet`: for the tailnet policy. `headscale`: for `derp.paths` of Headscale. `derpprobe`: for its `-derp-map`. */
export const formats = ["tailnet", "headscale", "derpprobe"] as const;
export type Format = (typeof formats)[number];

const renderers: Readonly<Record<Format, (map: DerpMap) => string>> = {
  tailnet: (map) => JSON.stringify(map, null, 2),
  headscale: renderHeadscale,
  derpprobe: (map) => JSON.stringify({ Regions: Object.fromEntries(listProbed(map)) }, null, 2),
};

/** Renders a map, without a trailing newline. */
export function renderMap(map: DerpMap, format: Format): string {
  return renderers[format](map);
}

/** It looks at every region of the map that it is given, and stumbles over one that is none. */
function listProbed(map: DerpMap): [id: string, region: DerpRegion][] {
  return regionsOf(map).map((region) => [String(region.RegionID), region]);
}

/**
 * Headscale reads the Go types by a YAML parser that knows no other names than the fields' own in lower case. Of the map it
 * takes the regions alone: a region that drains by its score has to be said to drain in the other way.
 */
function renderHeadscale(map: DerpMap): string {
  const scores = map.HomeParams?.RegionScore ?? {};
  const regions = Object.entries(map.Regions).map(([id, region]) => {
    const drains = (scores[id] ?? 1) > 1;
    const shown = region === null || !drains ? region : { ...region, NoMeasureNoHome: true };
    return [Number(id), lowerNames(shown)] as const;
  });
  // In quotes what an older YAML takes for something else than text, as it does a region with the code `no`.
  const document = new Document({ regions: new Map(regions) }, { compat: "yaml-1.1" });
  document.commentBefore = [
    " A DERP map for Headscale: name this file in derp.paths of its configuration.",
    ...(map.OmitDefaultRegions === true
      ? [" Tailscale's own regions are to be left out: set derp.urls to [] there."]
      : []),
  ].join("\n");
  return document.toString({ lineWidth: 0 }).trimEnd();
}

function lowerNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowerNames);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name.toLowerCase(), lowerNames(member)]),
  );
}
