/** `--connect-to PUBLIC:PORT=HOST:PORT`: connects elsewhere, as curl's option of that name does. Pure. */
import { isIP } from "node:net";
import { normaliseIp } from "../../relay/ip-address.ts";

export interface Place {
  /** DNS name in lower case, or IP address in its short form. */
  readonly host: string;
  readonly port: number;
}

/** Whoever is about to connect to `from`, over TCP or UDP, connects to `to`. Names and checks stay as they are. */
export interface Detour {
  readonly from: Place;
  readonly to: Place;
}

/** Parses `PUBLIC:PORT=HOST:PORT`; IPv6 addresses stand in brackets. Undefined if the text is anything else. */
export function parseDetour(text: string): Detour | undefined {
  const [from, to, ...surplus] = text.split("=").map(parsePlace);
  return from === undefined || to === undefined || surplus.length > 0 ? undefined : { from, to };
}

/** Parses `HOST:PORT`; an IPv6 address stands in brackets. Undefined if the text is anything else. */
export function parsePlace(text: string): Place | undefined {
  const [, address, name, digits] = /^(?:\[([^\]]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const port = Number(digits);
  const host = address ?? name;
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  if (address !== undefined && isIP(address) !== 6) return undefined;
  return { host: normaliseHost(host), port };
}

/** Where to go instead of a place; undefined if there is no detour from it. */
export function findDetour(detours: readonly Detour[], host: string, port: number): Place | undefined {
  const wanted = normaliseHost(host);
  return detours.find(({ from }) => from.host === wanted && from.port === port)?.to;
}

function normaliseHost(host: string): string {
  return normaliseIp(host) ?? host.toLowerCase();
}
