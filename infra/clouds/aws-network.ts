/** Ranges and zones of a region's network at AWS, and what a size says of itself. Pure. */

/** The range of every region's own network: regions have no way to each other, so all have the same. */
export const networkRange = "10.78.0.0/16";

/** A zone's letter as a number: `eu-central-1b` is 1. It numbers the zone's subnet, whatever other zones there are. */
export function zoneNumber(zone: string): number {
  const number = zone.charCodeAt(zone.length - 1) - "a".charCodeAt(0);
  if (!(number >= 0 && number < 26)) throw new RangeError(`${zone} is not a zone of a region`);
  return number;
}

/** The IPv4 range of a zone's subnet. */
export function subnetRange(zone: string): string {
  return `10.78.${zoneNumber(zone)}.0/24`;
}

/**
 * The IPv6 range of a zone's subnet: a /64 of the network's /56.
 *
 * @param network for example `2a05:d014:1000::/56`, or `2a05:d014:1000:4200::/56`
 */
export function subnetRange6(network: string, zone: string): string {
  const [prefix = "", length] = network.split("/");
  const groups = prefix.replace(/::$/, "").split(":");
  if (length !== "56" || !prefix.endsWith("::") || groups.length > 4) {
    throw new RangeError(`${network} is not a network's /56`);
  }
  const [a = "0", b = "0", c = "0", d = "0"] = groups;
  const fourth = (Number.parseInt(d, 16) & 0xff00) | zoneNumber(zone);
  return `${a}:${b}:${c}:${fourth.toString(16)}::/64`;
}

/**
 * Puts a region's nodes into zones: those with names like `901a` and `901b` into the first, the second and so on, the
 * others in the order of their names. The order of a list has no part in it.
 *
 * @param zones of the region, sorted
 */
export function chooseZones(names: readonly string[], zones: readonly string[]): ReadonlyMap<string, string> {
  const others = names.filter((name) => placeByName(name) === undefined).toSorted();
  return new Map(
    names.map((name) => {
      const place = placeByName(name) ?? others.indexOf(name);
      return [name, zones[place % zones.length] ?? ""];
    }),
  );
}

function placeByName(name: string): number | undefined {
  const [, letter] = /^\d{3}([a-z])$/.exec(name) ?? [];
  return letter === undefined ? undefined : letter.charCodeAt(0) - "a".charCodeAt(0);
}

/** The path by which a machine finds a volume, whichever order its devices come in. */
export function volumeDevice(id: string): string {
  return `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id.replace("-", "")}`;
}
