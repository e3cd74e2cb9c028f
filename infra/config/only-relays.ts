/** What a fleet has to be before Tailscale's own regions are left out of the map. Works on what was written. */
import type { CloudName } from "../clouds/places.ts";
import { leastAlone } from "../derpmap/check.ts";
import { defaultCertificates } from "./fleet.ts";
import { childPath } from "./path.ts";
import { itemsOf, type Members, membersOf, type Report, valid } from "./raw.ts";
import { fleetSchema, nodeSchema, regionSchema } from "./schema.ts";

/**
 * Demands, where `omitDefaultRegions` is true, that somebody has said that they know what it means, and that two regions
 * which do not fail together are there for clients.
 */
export function checkOnlyRelays(fleet: Members, report: Report): void {
  const { omitDefaultRegions, iUnderstandTheseAreMyOnlyRelays, dropTailscaleRegions } = fleetSchema.entries;
  if (valid(omitDefaultRegions, fleet["omitDefaultRegions"]) !== true) return;
  const path = childPath(undefined, "omitDefaultRegions");
  if (valid(iUnderstandTheseAreMyOnlyRelays, fleet["iUnderstandTheseAreMyOnlyRelays"]) === false) {
    const message =
      "is true: clients then have no relays but these; write derpkit:iUnderstandTheseAreMyOnlyRelays: true as well";
    report(path, message);
  }
  const dropped = valid(dropTailscaleRegions, fleet["dropTailscaleRegions"]) ?? [];
  if (dropped.length > 0) {
    const message = "has no effect where omitDefaultRegions leaves out all of Tailscale's regions; remove it";
    report(childPath(undefined, "dropTailscaleRegions"), message);
  }
  const domains = listDomains(fleet);
  if (domains.size < leastAlone) {
    const found = domains.size === 0 ? "none is" : `all that are are at ${[...domains].join()}`;
    const message =
      `is too little for omitDefaultRegions: ${leastAlone} regions in different places have to be in use (state: serving, its ` +
      `gate not skipped, its pins known), and ${found}; add one, or set omitDefaultRegions: false`;
    report(childPath(undefined, "regions"), message);
  }
}

/** The places of regions that clients can have as their home, and that were shown to serve. Places do not fail together. */
function listDomains(fleet: Members): ReadonlySet<string> {
  const isSkipped = valid(fleetSchema.entries.gate, fleet["gate"]) === "skip";
  return new Set(
    itemsOf(fleet["regions"]).flatMap((written) => {
      const region = membersOf(written);
      const cloud = valid(regionSchema.entries.cloud, region["cloud"]);
      if (cloud === undefined || (isSkipped && cloud !== "local") || !isInUse(cloud, region)) return [];
      const location = valid(regionSchema.entries.location, region["location"]) ?? "";
      return [cloud === "local" ? "this machine" : `${cloud} ${location}`.trimEnd()];
    }),
  );
}

function isInUse(cloud: CloudName, region: Members): boolean {
  const { state, certificates } = regionSchema.entries;
  if (region["skipGate"] !== undefined || valid(state, region["state"]) !== "serving") return false;
  const mode = valid(certificates, region["certificates"]) ?? defaultCertificates(cloud);
  if (cloud === "local" || mode !== "pinned") return true;
  const nodes = itemsOf(region["nodes"] ?? [{}]);
  return nodes.every((node) => valid(nodeSchema.entries.pin, membersOf(node)["pin"]) !== undefined);
}
