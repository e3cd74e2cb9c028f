/** The options of the mesh, as text: the key file's content and the list of relays to connect to. */
import { isIPv6 } from "node:net";
import { isMeshKey } from "../protocol/info.ts";

/** One entry of `-mesh-with`. */
export interface MeshWith {
  /** Name or address in the other relay's certificate; TLS asks for it. */
  readonly host: string;
  /** Where to connect to; the host itself by default. */
  readonly dialHost: string;
  readonly port: number;
  /** `sha256-raw:<hex>` if the certificate is pinned, else empty. */
  readonly certName: string;
}

const defaultPort = 443;

/**
 * Parses mesh keys: 64 hex digits, as derper's file has, or several such lines. All are accepted from others and the
 * first is shown to them, so that a key can be exchanged without a moment in which relays do not know each other:
 * accept the new one everywhere, show it everywhere, drop the old one.
 *
 * @returns undefined if the text holds no key or anything else
 */
export function parseMeshKeys(text: string): readonly string[] | undefined {
  const lines = text.trim().split(/\s*\n\s*/);
  return lines.every(isMeshKey) ? lines : undefined;
}

/**
 * Parses `-mesh-with`: a comma list of `host`, `host:port` or `host/dialhost`, each with `=sha256-raw:<hex>` behind it
 * if its certificate is pinned (ours).
 *
 * @returns undefined if an entry is malformed
 */
export function parseMeshWith(text: string): readonly MeshWith[] | undefined {
  const entries = text === "" ? [] : text.split(",").map((entry) => parseEntry(entry.trim()));
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

/** Renders `-mesh-with` as `parseMeshWith` reads it. */
export function renderMeshWith(relays: readonly MeshWith[]): string {
  return relays
    .map(({ host, dialHost, port, certName }) =>
      [
        port === defaultPort ? host : `${isIPv6(host) ? `[${host}]` : host}:${port}`,
        dialHost === host ? "" : `/${dialHost}`,
        certName === "" ? "" : `=${certName}`,
      ].join(""),
    )
    .join(",");
}

function parseEntry(entry: string): MeshWith | undefined {
  const [, where = "", certName = ""] = /^([^=]+)(?:=(sha256-raw:[0-9a-f]{64}))?$/.exec(entry) ?? [];
  const [name = "", dial, ...rest] = where.split("/");
  const place = parsePlace(name);
  if (place === undefined || rest.length > 0 || dial === "") return undefined;
  return { ...place, dialHost: dial ?? place.host, certName };
}

function parsePlace(text: string): Pick<MeshWith, "host" | "port"> | undefined {
  if (isIPv6(text)) return { host: text, port: defaultPort };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  return { host, port };
}
