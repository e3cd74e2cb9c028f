/** derper's notation for a listen address: `:port`, `ip:port`, `[ipv6]:port`. */
import { isIP, isIPv6 } from "node:net";

export interface ListenAddress {
  /** IP address, or undefined for every address of the machine. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Parses a listen address; undefined if the text is none. Port 0 asks the system for a free one. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain = "", digits = ""] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (digits === "" || port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  if (host !== "" && isIP(host) === 0) return undefined;
  return { host: host === "" ? undefined : host, port };
}
