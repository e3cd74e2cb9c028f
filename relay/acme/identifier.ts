/** What a certificate is for: a DNS name or an IP address (RFC 8555, section 9.7.7; RFC 8738). */
import { isIP, isIPv4 } from "node:net";

export interface Identifier {
  readonly type: "dns" | "ip";
  /** In lower case; an IPv6 address in its shortest form. */
  readonly value: string;
}

/** Tells an IP address from a name. */
export function identify(name: string): Identifier {
  if (isIP(name) === 0) return { type: "dns", value: name.toLowerCase() };
  const value = isIPv4(name) ? name : new URL(`http://[${name}]`).hostname.slice(1, -1);
  return { type: "ip", value };
}
