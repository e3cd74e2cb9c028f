/**
 * Which host names a relay with a pinned certificate has served. A derpMap's node has one HostName and one pin: who rotates
 * the certificate publishes both anew, and those who still have the old map ask for the old name for some time.
 */
import { isIP } from "node:net";

export interface PinnedMemory {
  /** Served at the last start; undefined at the first. */
  readonly served: string | undefined;
  readonly retired: readonly RetiredName[];
}

export interface RetiredName {
  readonly hostname: string;
  /** From then on nobody has the old map any more. */
  readonly until: Date;
}

/** For so long after a change clients may hold the old map. */
export const retirementMs = 24 * 3_600_000;

/** @returns undefined for what nobody has rendered; a day that lies too far ahead is brought near at the next rotation */
export function parsePinnedMemory(text: string): PinnedMemory | undefined {
  const value = parseJson(text);
  if (!isRecord(value) || typeof value["served"] !== "string" || !Array.isArray(value["retired"]))
    return undefined;
  const retired = value["retired"].map(parseRetired);
  return retired.every((name) => name !== undefined) ? { served: value["served"], retired } : undefined;
}

export function renderPinnedMemory({ served, retired }: PinnedMemory): string {
  const names = retired.map(({ hostname, until }) => ({ hostname, until: until.toISOString() }));
  return `${JSON.stringify({ served, retired: names }, undefined, 2)}\n`;
}

/**
 * What is remembered once a relay serves a host name: the former one retires, unless it is an IP address, for which clients
 * send no name. A name that comes back is retired no more.
 */
export function rotate({ served, retired }: PinnedMemory, hostname: string, now: Date): PinnedMemory {
  // A clock that was ahead when this was written must not have a name served for years.
  const latest = new Date(now.getTime() + retirementMs);
  const former = served === undefined || isIP(served) !== 0 ? [] : [{ hostname: served, until: latest }];
  const names = [...retired.filter((name) => name.hostname !== served), ...former]
    .filter((name) => name.hostname !== hostname && name.until > now)
    .map((name) => (name.until > latest ? { ...name, until: latest } : name));
  return { served: hostname, retired: names };
}

function parseRetired(value: unknown): RetiredName | undefined {
  if (!isRecord(value) || typeof value["hostname"] !== "string" || typeof value["until"] !== "string")
    return undefined;
  const until = new Date(value["until"]);
  return Number.isNaN(until.getTime()) ? undefined : { hostname: value["hostname"], until };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
