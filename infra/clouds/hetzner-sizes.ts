/** Which types of server can be ordered where. Pure. */

/** A server type as Hetzner's API describes it. */
export interface SizeOffer {
  readonly name: string;
  readonly locations: readonly {
    readonly name: string;
    readonly available: boolean;
    readonly isDeprecated: boolean;
    /** RFC 3339; empty unless it is deprecated. */
    readonly unavailableAfter: string;
  }[];
}

/**
 * Says why a type cannot be ordered at a location, and what can; undefined if it can.
 *
 * @param now a type that is deprecated can be ordered until its last day
 */
export function findSizeFault(
  size: string,
  location: string,
  offers: readonly SizeOffer[],
  now: Date,
): string | undefined {
  const why = findReason(size, location, offers, now);
  if (why === undefined) return undefined;
  const others = offers
    .filter(({ name }) => findReason(name, location, offers, now) === undefined)
    .map(({ name }) => name);
  return `${why}; size can be ${others.length === 0 ? "nothing there today" : others.join(", ")}`;
}

function findReason(
  size: string,
  location: string,
  offers: readonly SizeOffer[],
  now: Date,
): string | undefined {
  const offer = offers.find(({ name }) => name === size);
  if (offer === undefined) return `Hetzner has no size ${size}`;
  const there = offer.locations.find(({ name }) => name === location);
  if (there === undefined) return `${size} is not sold in ${location}`;
  if (there.isDeprecated && new Date(there.unavailableAfter) <= now) {
    return `${size} cannot be ordered in ${location} since ${there.unavailableAfter.slice(0, 10)}`;
  }
  return there.available ? undefined : `${size} is out of stock in ${location}`;
}
