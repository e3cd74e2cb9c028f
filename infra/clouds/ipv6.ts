/** IPv6 addresses of nodes. Pure. */

/**
 * The address that a machine has in the /64 that is its own: the first, `::1`. DNS, reverse DNS, the derpMap and policies
 * all have it from here.
 *
 * @param network with or without its length: `2001:db8:1:2::/64`
 */
export function hostInNetwork(network: string): string {
  const [prefix = ""] = network.split("/");
  if (!/^[0-9a-f:]+::$/.test(prefix)) throw new RangeError(`${network} is not the network of a machine`);
  return `${prefix}1`;
}
