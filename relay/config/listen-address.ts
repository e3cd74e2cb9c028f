/** derper's notation for a listen address: `:port`, `host:port`, `[ipv6]:port`. */
import { isIP, isIPv6 } from "node:net";

export interface ListenAddress {
  /** IP address or name; undefined for every address of the machine. */
  readonly host: string | undefined;
  readonly port: number;
}

/** The services that anybody names in an address. */
const services: ReadonlyMap<string, number> = new Map([
  ["http", 80],
  ["https", 443],
]);

/**
 * Parses a listen address; undefined if the text is none. Port 0 asks the system for a free one.
 *
 * As in Go, the unspecified address of either family is every address of both.
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain = "", service = ""] =
    /^(?:\[([^\]]+)\]|([^:\s]*)):(\d{1,5}|[a-z]+)$/.exec(text) ?? [];
  const port = services.get(service) ?? (/^\d+$/.test(service) ? Number(service) : undefined);
  if (port === undefined || port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  const host = bracketed ?? plain;
  return { host: host === "" || isUnspecified(host) ? undefined : host, port };
}

function isUnspecified(host: string): boolean {
  return isIP(host) !== 0 && /^[0.:]+$/.test(host);
}
