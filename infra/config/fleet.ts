/** The configuration as the program uses it: checked, with every default in place. */
import { type CloudName, findPlace } from "../clouds/places.ts";
import type { MapPolicy } from "../derpmap/build.ts";
import type { CheckedFleet } from "./schema.ts";

type CheckedRegion = CheckedFleet["regions"][number];

export interface FleetConfig {
  readonly domain: string;
  readonly regions: readonly RegionConfig[];
  readonly dns: CheckedFleet["dns"];
  /** Undefined where no region is in a cloud. */
  readonly delivery: CheckedFleet["delivery"];
  /** Ed25519 public keys, SubjectPublicKeyInfo in base64. */
  readonly trustedKeys: readonly string[];
  /** What the derpMap says beyond the regions. */
  readonly map: Required<MapPolicy>;
  readonly gate: CheckedFleet["gate"];
  readonly verify: CheckedFleet["verify"];
  /** Of machines in a cloud. */
  readonly runtime: CheckedFleet["runtime"];
  /** Of `~/.aws/config`, by partition. */
  readonly awsProfiles: CheckedFleet["awsProfiles"];
}

export interface RegionConfig {
  /** 900-999. */
  readonly id: number;
  readonly code: string;
  readonly name: string;
  readonly cloud: CloudName;
  /** The cloud's own name of the place; empty for `local`. */
  readonly location: string;
  /** The cloud's own name of the machines' type; empty for `local`. */
  readonly size: string;
  /** Of AWS; undefined: the newest of Debian's own. */
  readonly image: string | undefined;
  readonly addresses: CheckedRegion["addresses"];
  readonly certificates: NonNullable<CheckedRegion["certificates"]>;
  readonly admission: NonNullable<CheckedRegion["admission"]>;
  /** Undefined: no limit. */
  readonly clientRate: CheckedRegion["clientRate"];
  readonly state: CheckedRegion["state"];
  readonly wave: number;
  /** Undefined: the gate is waited for. */
  readonly skipGate: CheckedRegion["skipGate"];
  readonly generation: number;
  readonly icmpEcho: boolean;
  readonly http: boolean;
  /** UDP. */
  readonly peerRelayPort: number | undefined;
  /** Names of secrets. */
  readonly mesh: string | undefined;
  readonly statusToken: string | undefined;
  /** In the order in which clients try them. */
  readonly nodes: readonly NodeConfig[];
}

export interface NodeConfig {
  readonly name: string;
  /** Undefined: the node's address is its name. */
  readonly hostName: string | undefined;
  /** Undefined: the cloud chooses. */
  readonly derpPort: number | undefined;
  readonly stunPort: number | undefined;
  /** A pinned node's CertName, once it is known. */
  readonly pin: string | undefined;
}

/** True if a region's relays let in only those they know. Relays on this machine let in anybody. */
export function isClosed({ cloud, admission }: Pick<RegionConfig, "cloud" | "admission">): boolean {
  return cloud !== "local" && admission.anyone !== true;
}

/** Fills in the defaults that depend on other keys. */
export function buildFleetConfig({
  domain,
  regions,
  dns,
  delivery,
  trustedKeys = [],
  runtime,
  gate,
  verify,
  awsProfiles,
  omitDefaultRegions,
  dropTailscaleRegions,
  drainBy,
}: CheckedFleet): FleetConfig {
  return {
    domain,
    regions: regions.map((region) => buildRegion(region, domain)),
    dns,
    delivery,
    trustedKeys,
    runtime,
    map: { omitDefaultRegions, dropTailscaleRegions, drainBy },
    gate,
    verify,
    awsProfiles,
  };
}

function buildRegion(checked: CheckedRegion, domain: string): RegionConfig {
  const {
    nodes,
    location = "",
    size,
    image,
    certificates,
    admission = {},
    clientRate,
    peerRelayPort,
    skipGate,
    mesh,
    statusToken,
    ...region
  } = checked;
  const mode = certificates ?? defaultCertificates(region.cloud);
  return {
    ...region,
    location,
    size: size ?? findPlace(region.cloud, location)?.defaultSize ?? "",
    image,
    certificates: mode,
    admission,
    clientRate,
    peerRelayPort,
    skipGate,
    mesh,
    statusToken,
    nodes: nodes.map(({ name: given, hostName, derpPort, stunPort, pin }, index) => {
      const name = given ?? defaultNodeName(region.id, index);
      const own = mode === "acme-ip" ? undefined : defaultHostName(name, domain);
      return { name, hostName: hostName ?? own, derpPort, stunPort, pin };
    }),
  };
}

export function defaultCertificates(cloud: CloudName): RegionConfig["certificates"] {
  return cloud === "local" ? "pinned" : "acme";
}

/** `901a` for the first node of region 901, `901b` for the second. */
export function defaultNodeName(regionId: number, index: number): string {
  return `${regionId}${String.fromCharCode("a".charCodeAt(0) + index)}`;
}

export function defaultHostName(nodeName: string, domain: string): string {
  return `${nodeName}.${domain}`;
}
