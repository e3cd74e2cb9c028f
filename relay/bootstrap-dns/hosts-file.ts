/** The hosts file: names that this machine knows without DNS. */
import { normaliseIp } from "../ip-address.ts";

/** Addresses by name, in the form of `hostsKey`. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** Parses a hosts file: an address and its names on each line, `#` before a comment. Other lines are passed over. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [first = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const address = normaliseIp(first);
    if (address === undefined) continue;
    for (const key of names.map(hostsKey)) hosts.set(key, [...(hosts.get(key) ?? []), address]);
  }
  return hosts;
}

/** The addresses of a name, from every line that has it; undefined if none has. */
export function findHost(hosts: Hosts, name: string): readonly string[] | undefined {
  return hosts.get(hostsKey(name));
}

/** As Go compares: without case; and `a.example` is `a.example.`, while a single label never ends with a dot. */
function hostsKey(name: string): string {
  const lower = name.toLowerCase();
  return lower.includes(".") && !lower.endsWith(".") ? `${lower}.` : lower;
}
