/** What a derpMap has to be before a tailnet is given it. Pure. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { isPublicAddress } from "../../relay/config/public-addresses.ts";
import type { Problem } from "../../relay/errors.ts";
import { normaliseIp } from "../../relay/ip-address.ts";
import { findContradictions } from "./contradictions.ts";
import { type DerpMap, type DerpNode, type DerpRegion, regionsOf } from "./derp-map.ts";
import { tailscaleRegionCodes } from "./tailscale-regions.ts";

export interface CheckOptions {
  /** True if the relays are on this machine, or the ids of the regions that are: nobody else reaches their addresses. */
  readonly local?: boolean | ReadonlySet<number>;
}

/** Tailscale keeps these for users' own regions. */
export const ownIds = { from: 900, to: 999 } as const;

/** So many regions have to be able to be a home where Tailscale's own are left out. */
export const leastAlone = 2;

/**
 * Finds everything in a map of our own regions that a tailnet must not be given: what a client would trip over, what
 * would take the place of one of Tailscale's regions, addresses that nobody reaches, and what is for tests only.
 *
 * @param map as `parseDerpMap` gives it, or as it was built
 */
export function checkDerpMap(map: DerpMap, { local = false }: CheckOptions = {}): Problem[] {
  const codes = new Map<string, string>();
  const addresses = new Map<string, string>();
  const problems = findContradictions(map);
  for (const [key, region] of Object.entries(map.Regions)) {
    const path = `Regions.${key}`;
    if (region === null) {
      problems.push(...checkDropped(key, path, map));
      continue;
    }
    const isLocal = typeof local === "boolean" ? local : local.has(region.RegionID);
    problems.push(...checkRegion(region, path), ...claim(codes, region.RegionCode, `${path}.RegionCode`));
    for (const [index, node] of region.Nodes.entries()) {
      const at = `${path}.Nodes[${index}]`;
      problems.push(...checkNode(node, at));
      if (!isLocal) problems.push(...checkAddresses(node, at, addresses));
    }
  }
  return [...problems, ...checkScores(map), ...checkAlone(map)];
}

/** Where nothing else is left, one region's end is every client's. */
function checkAlone(map: DerpMap): Problem[] {
  if (map.OmitDefaultRegions !== true) return [];
  const scores = map.HomeParams?.RegionScore ?? {};
  const homes = regionsOf(map).filter(
    ({ RegionID, NoMeasureNoHome = false }) => !NoMeasureNoHome && (scores[RegionID] ?? 1) <= 1,
  );
  if (homes.length >= leastAlone) return [];
  const message = `is true, and ${homes.length} of the map's regions can be a home; without Tailscale's own, ${leastAlone} have to be`;
  return [{ path: "OmitDefaultRegions", message }];
}

function checkDropped(key: string, path: string, { OmitDefaultRegions = false }: DerpMap): Problem[] {
  const id = Number(key);
  if (!Number.isInteger(id) || id < 1 || id >= ownIds.from) {
    const message = `is null, which takes one of Tailscale's regions out of the map, and ${key} is the id of none; remove it`;
    return [{ path, message }];
  }
  if (!OmitDefaultRegions) return [];
  return [
    { path, message: "is null, and with OmitDefaultRegions none of Tailscale's regions is there; remove it" },
  ];
}

function checkRegion({ RegionID, RegionCode, RegionName, Nodes }: DerpRegion, path: string): Problem[] {
  const problems: Problem[] = [];
  const { from, to } = ownIds;
  if (!(Number.isInteger(RegionID) && RegionID >= from && RegionID <= to)) {
    const message = `is ${RegionID}; ids ${from} to ${to} are for your own regions, and others are Tailscale's`;
    problems.push({ path: `${path}.RegionID`, message });
  }
  if (RegionCode === "") {
    problems.push({
      path: `${path}.RegionCode`,
      message: "is missing; tailscale status shows a region by it",
    });
  } else if (tailscaleRegionCodes.has(RegionCode)) {
    const message = `is ${RegionCode}, the code of one of Tailscale's own regions; choose another`;
    problems.push({ path: `${path}.RegionCode`, message });
  }
  if (RegionName === "")
    problems.push({ path: `${path}.RegionName`, message: "is missing; tailscale netcheck shows it" });
  if (Nodes.every(({ STUNOnly }) => STUNOnly === true)) {
    problems.push({ path: `${path}.Nodes`, message: "has no relay: clients would look for one in vain" });
  }
  return problems;
}

/** The formats are those that `parse.ts` accepts; a map that was built has not been through it. */
function checkNode(node: DerpNode, path: string): Problem[] {
  const problems: Problem[] = [];
  const report = (field: keyof DerpNode, message: string): void => {
    problems.push({ path: `${path}.${field}`, message });
  };
  const { CertName, DERPPort, HostName, InsecureForTests = false, Name, STUNPort, STUNTestIP = "" } = node;
  if (!isCertName(CertName)) {
    report("CertName", "has to be empty, a DNS name, or sha256-raw: and 64 lower-case hex digits");
  }
  if (!isPort(DERPPort)) report("DERPPort", "has to be a number from 1 to 65535");
  if (!isPort(STUNPort) && STUNPort !== -1) report("STUNPort", "has to be a number from 1 to 65535, or -1");
  if (Name === "") report("Name", "is missing");
  if (isIP(HostName) === 0 && !isName(HostName)) {
    report("HostName", "has to be a DNS name or an address");
  }
  if (InsecureForTests) {
    report("InsecureForTests", "has clients check no certificate, and is for tests only; remove it");
  }
  if (STUNTestIP !== "") report("STUNTestIP", "is for tests only; remove it");
  return problems;
}

/** Each address that clients would connect to: once, and one that they can reach. */
function checkAddresses(node: DerpNode, path: string, taken: Map<string, string>): Problem[] {
  const fields = [
    { field: "IPv4", text: node.IPv4, isOfFamily: isIPv4 },
    { field: "IPv6", text: node.IPv6, isOfFamily: isIPv6 },
  ] as const;
  const problems = fields.flatMap(({ field, text, isOfFamily }) => {
    const at = `${path}.${field}`;
    // Clients ask DNS where there is nothing, and have no such family where it says none.
    if (text === "" || text === "none") return [];
    if (!isOfFamily(text)) {
      return [{ path: at, message: `is ${text}, which is no ${field} address; write one, or none` }];
    }
    return [...requirePublic(text, at), ...claim(taken, normaliseIp(text) ?? text, at)];
  });
  const { HostName, IPv4, IPv6 } = node;
  const isTold = [IPv4, IPv6].some((text) => normaliseIp(text) === normaliseIp(HostName));
  if (isIP(HostName) !== 0 && !isTold) problems.push(...requirePublic(HostName, `${path}.HostName`));
  if ([IPv4, IPv6].every((text) => text !== "" && isIP(text) === 0)) {
    problems.push({ path, message: "has no address of either family: clients find no way to it" });
  }
  return problems;
}

function requirePublic(address: string, path: string): Problem[] {
  if (isPublicAddress(address)) return [];
  return [
    { path, message: `is ${address}, which the Internet has no way to; clients elsewhere cannot reach it` },
  ];
}

/** A score is of a region in the map, and makes it count for more: clients would otherwise crowd into it. */
function checkScores({ HomeParams, Regions }: DerpMap): Problem[] {
  return Object.entries(HomeParams?.RegionScore ?? {}).flatMap(([key, score]) => {
    const path = `HomeParams.RegionScore.${key}`;
    if (Regions[key] === undefined || Regions[key] === null)
      return [{ path, message: "is of a region that is not in the map; remove it" }];
    return score > 0 ? [] : [{ path, message: `is ${score}; clients take no score that is not above 0` }];
  });
}

function claim(owners: Map<string, string>, value: string, path: string): Problem[] {
  const owner = owners.get(value);
  if (owner !== undefined) return [{ path, message: `is ${value}, and so is ${owner}` }];
  if (value !== "") owners.set(value, path);
  return [];
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Text that is text although the types say so: a map may come from a stack's outputs. */
function isCertName(name: string): boolean {
  return name === "" || isName(name) || /^sha256-raw:[0-9a-f]{64}$/.test(name);
}

function isName(name: string): boolean {
  return (
    name.length <= 253 &&
    /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*\.?$/i.test(name)
  );
}
