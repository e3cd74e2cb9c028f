/** Finds out where to connect to, and whether there is a way from here. */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { isIP } from "node:net";
import { describeError, type Endpoint } from "../../relay/client/dial.ts";
import { orGiveUp, RelayFailure } from "../../relay/client/failure.ts";
import { CannotTest, CheckFailed } from "./check.ts";
import { type Detour, findDetour } from "./detour.ts";
import type { Family } from "./target.ts";

export interface Destination {
  readonly family: Family;
  /** The address in the map; undefined if DNS has to tell it. */
  readonly address: string | undefined;
  readonly hostName: string;
  readonly port: number;
}

export interface Reached extends Endpoint {
  /** True if `--connect-to` led here, so that a forwarder may stand between us and the relay. */
  readonly detoured: boolean;
}

const familyNumber = { ipv4: 4, ipv6: 6 } as const;
const familyName = { ipv4: "IPv4", ipv6: "IPv6" } as const;
/** What the kernel says of a family that this machine does not have, or has no route for. */
const noRouteCodes = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EHOSTUNREACH", "EINVAL"]);

/**
 * Finds the address to connect to: along a detour, from the map, or from DNS.
 *
 * @throws CheckFailed if the name has no address at all, or is none
 * @throws CannotTest if it has none of this family, or if there is no way to it from here
 */
export async function reach(
  destination: Destination,
  detours: readonly Detour[],
  signal: AbortSignal,
): Promise<Reached> {
  const { family, address, hostName, port } = destination;
  if (isIP(hostName) === 0 && !/^[\w.-]+$/.test(hostName)) {
    throw new CheckFailed("HostName is neither a DNS name nor an IP address");
  }
  const detour = findUsableDetour(destination, detours);
  const host = detour?.host ?? address ?? hostName;
  const found = isIP(host) === 0 ? await resolve(host, family, signal) : host;
  await requireRoute(found, family);
  return { address: found, port: detour?.port ?? port, detoured: detour !== undefined };
}

/** Asks the system's resolver for the first address of a family. */
export async function resolve(host: string, family: Family, signal: AbortSignal): Promise<string> {
  const found = await lookUp(host, signal);
  const first = found.find((entry) => entry.family === familyNumber[family])?.address;
  if (first === undefined) throw new CannotTest(`${host} has no ${familyName[family]} address in DNS`);
  return first;
}

/**
 * A detour from an address is for the family of that address, wherever it leads. One from a host name is for the
 * families of the addresses that it leads to; whoever gives one for a single family leaves the other untested.
 */
function findUsableDetour(
  { family, address, hostName, port }: Destination,
  detours: readonly Detour[],
): Detour["to"] | undefined {
  const exact = address === undefined ? undefined : findDetour(detours, address, port);
  if (exact !== undefined) return exact;
  const fitting = detours.filter(({ to }) => [0, familyNumber[family]].includes(isIP(to.host)));
  const named = findDetour(fitting, hostName, port);
  if (named === undefined && address === undefined && findDetour(detours, hostName, port) !== undefined) {
    throw new CannotTest(`--connect-to leads from ${hostName} to no ${familyName[family]} address`);
  }
  return named;
}

async function lookUp(host: string, signal: AbortSignal): Promise<{ address: string; family: number }[]> {
  try {
    return await orGiveUp(lookup(host, { all: true }), signal, () => `DNS to tell the address of ${host}`);
  } catch (error) {
    if (error instanceof RelayFailure) throw error;
    const code = errorCode(error);
    throw new CheckFailed(
      code === "ENOTFOUND" ? `DNS does not know ${host}` : `DNS fails for ${host}: ${code}`,
    );
  }
}

/** Connecting a UDP socket sends nothing: it asks the kernel for a route and a source address. */
async function requireRoute(address: string, family: Family): Promise<void> {
  const socket = createSocket(isIP(address) === 4 ? "udp4" : "udp6");
  try {
    const connected = once(socket, "connect");
    socket.connect(9, address);
    await connected;
  } catch (error) {
    if (noRouteCodes.has(errorCode(error))) {
      throw new CannotTest(`there is no ${familyName[family]} route from here to ${address}`);
    }
    throw new CheckFailed(`${address} cannot be connected to: ${describeError(error)}`, { cause: error });
  } finally {
    socket.close();
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
