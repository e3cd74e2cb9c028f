/** What a certificate is for: a DNS name or an IP address (RFC 8555, section 9.7.7; RFC 8738). */
import { normaliseIp } from "../ip-address.ts";

export interface Identifier {
  readonly type: "dns" | "ip";
  /** In lower case; an IPv6 address in its shortest form. */
  readonly value: string;
}

/** Tells an IP address from a name. */
export function identify(name: string): Identifier {
  const address = normaliseIp(name);
  return address === undefined ? { type: "dns", value: name.toLowerCase() } : { type: "ip", value: address };
}
