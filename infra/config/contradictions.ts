/**
 * Values that do not go together: what a cloud needs and was not given, what was given and has no effect. Works on what
 * was written, right or wrong, as collisions.ts does.
 */
import type { Problem } from "../../relay/errors.ts";
import { type CloudName, findPlace, placeNames } from "../clouds/places.ts";
import { defaultCertificates, type RegionConfig } from "./fleet.ts";
import { isInZone } from "./names.ts";
import { checkAdmission } from "./admission.ts";
import { checkDelivery } from "./delivery.ts";
import { checkMesh } from "./mesh.ts";
import { nearest } from "./nearest.ts";
import { checkImage, checkProfiles } from "./partitions.ts";
import { checkOnlyRelays } from "./only-relays.ts";
import { childPath } from "./path.ts";
import { itemsOf, type Members, membersOf, type Report, valid } from "./raw.ts";
import { fleetSchema, nodeSchema, regionSchema } from "./schema.ts";
import { checkSecretChannel } from "./secrets.ts";
import { show } from "./show.ts";
import { writtenHostName, writtenNodeName } from "./written-names.ts";

/** What only machines in a cloud have. */
const cloudKeys = [
  "location",
  "size",
  "image",
  "addresses",
  "certificates",
  "admission",
  "clientRate",
  "wave",
  "skipGate",
  "generation",
  "icmpEcho",
  "http",
  "peerRelayPort",
  "mesh",
  "statusToken",
] as const;

const usualStunPort = 3478;
/** Authorities prove a name or an address at this port, by TLS. */
const provenPort = 443;

/** The fleet's keys that regions depend on. */
interface Surroundings {
  readonly domain: string | undefined;
  /** Undefined unless somebody makes records in it. */
  readonly zone: string | undefined;
}

/** Finds what does not go together. */
export function findContradictions(raw: unknown): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, message) => {
    // The domain is every node's, and is wrong once.
    if (!problems.some((problem) => problem.path === path)) problems.push({ path, message });
  };
  const fleet = membersOf(raw);
  const { domain, dns } = fleetSchema.entries;
  const { provider, zone } = valid(dns, fleet["dns"]) ?? {};
  const surroundings = {
    domain: valid(domain, fleet["domain"]),
    zone: provider === "cloudflare" ? zone : undefined,
  };
  if (provider === "cloudflare" && zone === undefined) {
    report(
      childPath(childPath(undefined, "dns"), "zone"),
      "is missing; write the zone that the nodes' names are in",
    );
  } else if (provider === "none" && zone !== undefined) {
    report(
      childPath(childPath(undefined, "dns"), "provider"),
      "is none, so that nobody makes records in the zone; write cloudflare, or remove zone",
    );
  }
  let clouds = 0;
  for (const [index, written] of itemsOf(fleet["regions"]).entries()) {
    const region = membersOf(written);
    const path = childPath(childPath(undefined, "regions"), index);
    const cloud = valid(regionSchema.entries.cloud, region["cloud"]);
    if (cloud === undefined) continue;
    if (cloud === "local") checkLocal(region, path, report);
    else {
      clouds++;
      checkPlace(cloud, region, path, report);
      checkCount(cloud, region, path, report);
      checkImage(cloud, region, path, report);
      checkAdmission(region, path, report);
      checkSecretChannel(cloud, region, fleet["delivery"], path, report);
      checkMesh(region, path, report);
      checkNodes(cloud, region, path, surroundings, report);
    }
  }
  checkProfiles(fleet, report);
  checkOnlyRelays(fleet, report);
  checkDelivery(fleet, report);
  for (const key of ["delivery", "trustedKeys"] as const) {
    if (clouds > 0 && fleet[key] === undefined) {
      report(childPath(undefined, key), `is missing; machines in a cloud need it: ${needs[key]}`);
    }
  }
  return problems;
}

const needs = {
  delivery: "write where they fetch their releases: a mapping with s3 or url",
  trustedKeys: "write the public keys whose signatures on releases they trust",
};

function checkLocal(region: Members, path: string, report: Report): void {
  for (const key of cloudKeys) {
    if (region[key] !== undefined)
      report(childPath(path, key), "is of machines in a cloud; remove it, as local relays run on this one");
  }
  for (const [index, node] of itemsOf(region["nodes"]).entries()) {
    if (membersOf(node)["pin"] !== undefined)
      report(
        childPath(childPath(childPath(path, "nodes"), index), "pin"),
        "is of machines in a cloud; remove it, as local pins are known",
      );
  }
}

function checkPlace(cloud: CloudName, region: Members, path: string, report: Report): void {
  const names = placeNames(cloud);
  const written = region["location"];
  if (written === undefined) {
    report(childPath(path, "location"), `is missing; write one of ${names.join(", ")}`);
    return;
  }
  const location = valid(regionSchema.entries.location, written);
  if (location === undefined || findPlace(cloud, location) !== undefined) return;
  const meant = nearest(location, names);
  report(
    childPath(path, "location"),
    `is ${show(location)}, and ${cloud} has no such place; ` +
      (meant === undefined ? `write one of ${names.join(", ")}` : `did you mean ${meant}?`),
  );
}

/** Hetzner's limit of a placement group. */
const mostSpread = 10;

function checkCount(cloud: CloudName, region: Members, path: string, report: Report): void {
  const count = itemsOf(region["nodes"]).length;
  if (cloud === "hetzner" && count > mostSpread) {
    report(
      childPath(path, "nodes"),
      `has ${count} nodes, and Hetzner spreads at most ${mostSpread} over different hosts; write fewer, or another region`,
    );
  }
}

function checkNodes(
  cloud: CloudName,
  region: Members,
  path: string,
  surroundings: Surroundings,
  report: Report,
): void {
  const { id: idSchema, certificates, http, peerRelayPort } = regionSchema.entries;
  const peerRelay = valid(peerRelayPort, region["peerRelayPort"]);
  const id = valid(idSchema, region["id"]);
  const mode = valid(certificates, region["certificates"]) ?? defaultCertificates(cloud);
  for (const [index, written] of itemsOf(region["nodes"] ?? [{}]).entries()) {
    const node = membersOf(written);
    const at = childPath(childPath(path, "nodes"), index);
    if (peerRelay !== undefined && peerRelay === (valid(stunPort, node["stunPort"]) ?? usualStunPort)) {
      const message = `is ${peerRelay}, where the relay answers STUN; write another`;
      report(childPath(path, "peerRelayPort"), message);
    }
    checkCertificate(mode, node, at, valid(http, region["http"]) ?? false, report);
    const name = writtenNodeName(node, id, index);
    // A pinned node is found by its address, and its name need not lead anywhere.
    if (mode === "acme" || mode === "manual") checkHostName(mode, node, name, at, surroundings, report);
  }
}

const { derpPort, hostName: nodeHostName, pin: nodePin, stunPort } = nodeSchema.entries;

/** What a node was given has to be of use to the way in which it gets its certificate. */
function checkCertificate(
  mode: RegionConfig["certificates"],
  node: Members,
  path: string,
  isHttpOpen: boolean,
  report: Report,
): void {
  if (mode === "acme-ip" && valid(nodeHostName, node["hostName"]) !== undefined) {
    const message = "is a name, and with certificates: acme-ip clients connect to the address; remove it";
    report(childPath(path, "hostName"), message);
  }
  if (mode !== "pinned" && valid(nodePin, node["pin"]) !== undefined) {
    const message = `is of a pinned node, and its region has certificates: ${mode}; remove it`;
    report(childPath(path, "pin"), message);
  }
  const port = valid(derpPort, node["derpPort"]) ?? provenPort;
  if ((mode === "acme" || mode === "acme-ip") && port !== provenPort && !isHttpOpen) {
    const message = `is ${port}, where no certificate authority looks; leave it at 443, or set http: true for the region`;
    report(childPath(path, "derpPort"), message);
  }
}

/** A name that others look up has to be one that they can find. @param name of the node, which names its host by default */
function checkHostName(
  mode: "acme" | "manual",
  node: Members,
  name: string | undefined,
  path: string,
  { domain, zone }: Surroundings,
  report: Report,
): void {
  const hostName = writtenHostName(node, name, domain);
  if (hostName === undefined) return;
  const isDefault = node["hostName"] === undefined;
  const source = isDefault ? childPath(undefined, "domain") : childPath(path, "hostName");
  if (mode === "acme" && hostName.endsWith(".internal")) {
    report(
      source,
      `gives ${show(hostName)}, which no certificate authority knows; write a domain of yours, or certificates: acme-ip or pinned`,
    );
  } else if (zone !== undefined && !isInZone(hostName, zone)) {
    report(source, `gives ${show(hostName)}, which is not in the zone ${zone}; write one that is`);
  }
}
