/** Who may look at the debug pages: derper's rule, hardened. Pure: a request in, a yes or no out. */
import { createHash, timingSafeEqual } from "node:crypto";
import { KitError } from "../errors.ts";
import { normaliseIp } from "../ip-address.ts";
import { buildNetworks, contains, parseNetworkList } from "../config/networks.ts";
import { queryValue } from "./query.ts";
import type { RequestHeaders } from "./upgrade.ts";

export interface DebugRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** The client's address, and ours that it reached; undefined once the socket is closed. */
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  readonly headers: RequestHeaders;
}

export interface DebugAccessOptions {
  /** An address that may look: derper's environment variable TS_ALLOW_DEBUG_IP. */
  readonly allowIp: string;
  /** Networks that may look, with commas between: TS_DEBUG_TRUSTED_CIDRS. */
  readonly trustedCidrs: string;
  /** Reads the key that lets anybody look who gives it as `debugkey`: the file that TS_DEBUG_KEY_PATH names. */
  readonly readKey: () => string | undefined;
  /** derper's rule, without ours: the option `-strict-derper-debug`. */
  readonly strictDerper: boolean;
}

/** Tells whether an address is this machine's loopback, also in its form of IPv6. */
export function isLoopback(address: string | undefined): boolean {
  const plain = normaliseIp(address ?? "");
  return plain !== undefined && contains(loopback, plain);
}

/** Says of a request whether it may look. */
export type DebugAccess = (request: DebugRequest) => boolean;

/**
 * What a proxy adds for the server behind it, besides X-Forwarded-For. A client that writes one itself only harms
 * itself.
 */
const proxyHeaders = [
  "cf-connecting-ip",
  "forwarded",
  "tailscale-user-login",
  "true-client-ip",
  "via",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
] as const;

/** As in Tailscale's package tsaddr; what it takes out of 100.64.0.0/10 belongs to ChromeOS. */
const tailscale = buildNetworks(["100.64.0.0/10", "fd7a:115c:a1e0::/48"]);
const chromeOs = buildNetworks(["100.115.92.0/23"]);
const loopback = buildNetworks(["127.0.0.0/8", "::1/128"]);

/**
 * Builds the rule (derper: tsweb.AllowDebugAccess). The key lets a GET in from anywhere. Otherwise the address decides,
 * and nobody's behind X-Forwarded-For: who looks on from loopback, from a Tailscale address, or from where the operator
 * says.
 *
 * Two sources count for less than in derper. Loopback does not count if a proxy has left a trace, for then the request
 * may come from anywhere. A Tailscale source does not count unless it reached a Tailscale address of this machine:
 * others use 100.64.0.0/10 as well, carriers above all, and theirs come in at the public address.
 *
 * @throws KitError `config-invalid` for a network that is none, as derper ends then
 */
export function buildDebugAccess(options: DebugAccessOptions): DebugAccess {
  const trusted = buildNetworks(parseCidrs(options.trustedCidrs));
  const allowed = normaliseIp(options.allowIp);
  return (request) => {
    if (hasKey(request, options.readKey)) return true;
    if (hasHeader(request, "x-forwarded-for")) return false;
    const source = normaliseIp(request.remoteAddress ?? "");
    if (source === undefined) return false;
    return (
      source === allowed ||
      contains(trusted, source) ||
      (contains(loopback, source) && (options.strictDerper || !isProxied(request))) ||
      (isTailscale(source) && (options.strictDerper || reachedTailscale(request)))
    );
  };
}

function hasKey({ method, target }: DebugRequest, readKey: DebugAccessOptions["readKey"]): boolean {
  if (method !== "GET") return false;
  const given = queryValue(target, "debugkey") ?? "";
  if (given === "") return false;
  const key = readKey()?.trim();
  return key !== undefined && timingSafeEqual(digest(given), digest(key));
}

/** Texts of any length become comparable in a time that tells nothing. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function hasHeader({ headers }: DebugRequest, name: string): boolean {
  const value = headers[name];
  return value !== undefined && value.length > 0;
}

function isProxied(request: DebugRequest): boolean {
  return proxyHeaders.some((name) => hasHeader(request, name));
}

function isTailscale(address: string): boolean {
  return contains(tailscale, address) && !contains(chromeOs, address);
}

function reachedTailscale({ localAddress }: DebugRequest): boolean {
  const local = normaliseIp(localAddress ?? "");
  return local !== undefined && isTailscale(local);
}

/** Parses a list of networks, with commas between and empty places allowed. */
function parseCidrs(text: string): string[] {
  const { cidrs, mistakes } = parseNetworkList(text);
  if (mistakes.length === 0) return cidrs;
  throw new KitError("config-invalid", {
    message: "The networks that may look at the debug pages have mistakes.",
    fix: "Write each as address/bits, for example 10.0.0.0/8 or fd00::/8, with commas between.",
    problems: mistakes.map((cidr) => ({
      path: "TS_DEBUG_TRUSTED_CIDRS",
      message: `${JSON.stringify(cidr)} is no network`,
    })),
  });
}
