/** Which certificates a relay gets from whom, from its options. Pure. */
import { isIP } from "node:net";
import { google, letsEncrypt, letsEncryptStaging } from "../acme/directories.ts";
import { type Identifier, identify } from "../acme/identifier.ts";
import type { ChallengeMethod } from "../acme/challenge.ts";
import { parseList } from "../config/list.ts";
import { isPublicAddress } from "../config/public-addresses.ts";
import type { RelayConfig } from "../config/schema.ts";

/** One certificate that is to be had. */
export interface PlannedCertificate {
  /** The first is the one that counts, and that the files are named by. The others are left out if they cannot be proven. */
  readonly identifiers: readonly [Identifier, ...Identifier[]];
  /** Undefined to name none. */
  readonly profile: string | undefined;
  /** How it can be proven who is at these names; the first is tried first. */
  readonly methods: readonly ChallengeMethod[];
}

export interface AcmePlan {
  readonly directory: URL;
  /** Tried first after a failure. */
  readonly staging: URL | undefined;
  /** Empty for none. */
  readonly email: string;
  readonly binding: { readonly kid: string; readonly key: Buffer } | undefined;
  /** To be had from the start. */
  readonly certificates: readonly PlannedCertificate[];
  /** The certificate to get once a client asks for this name (SNI); undefined if it is none of ours. */
  readonly forName: (name: string) => PlannedCertificate | undefined;
  /** The certificate to get once a client comes to this address without a name; undefined if none is wanted. */
  readonly forAddress: (address: string) => PlannedCertificate | undefined;
}

type AcmeConfig = Pick<
  RelayConfig,
  | "certMode"
  | "hostname"
  | "httpPort"
  | "acmeDirectory"
  | "acmeStaging"
  | "acmeProfile"
  | "acmeEmail"
  | "acmeEabKid"
  | "acmeEabKey"
  | "acmeIps"
  | "acmeIpCerts"
>;

/** What the machine knows of its addresses. */
export interface Addresses {
  /** The address that the listener is bound to; undefined if it is bound to all. */
  readonly bound: string | undefined;
  /** Those of the network interfaces. */
  readonly present: readonly string[];
}

/**
 * Plans.
 *
 * @param config one that `findModeFault` finds nothing wrong with
 */
export function planAcme(config: AcmeConfig, addresses: Addresses): AcmePlan {
  const directory = config.acmeDirectory || (config.certMode === "gcp" ? google : letsEncrypt);
  const staging = config.acmeStaging ?? (directory === letsEncrypt ? letsEncryptStaging : "");
  return {
    directory: new URL(directory),
    staging: staging === "" ? undefined : new URL(staging),
    email: config.acmeEmail,
    binding: planBinding(config),
    certificates: planFromStart(config, addresses),
    forName: (name) => planForName(config, name),
    forAddress: (address) => planForAddress(config, address),
  };
}

/** Let's Encrypt knows no accounts from elsewhere, and derper hands it none. */
function planBinding({
  certMode,
  acmeDirectory,
  acmeEabKid: kid,
  acmeEabKey,
}: AcmeConfig): AcmePlan["binding"] {
  if (kid === "" || (certMode === "letsencrypt" && acmeDirectory === "")) return undefined;
  return { kid, key: Buffer.from(acmeEabKey, "base64url") };
}

function planFromStart(config: AcmeConfig, addresses: Addresses): readonly PlannedCertificate[] {
  const { certMode, hostname } = config;
  if (certMode !== "acme-ip") {
    const isAddress = isIP(hostname) !== 0;
    if (isAddress) return [planForAddress(config, hostname)].filter((planned) => planned !== undefined);
    return hostname === tailscales ? [] : [forDns(config, hostname)];
  }
  const [first, ...rest] = planAddresses(config, addresses);
  return first === undefined ? [] : [forIps(config, [first, ...rest])];
}

/** The addresses of mode `acme-ip`: clients check the first, which is the HostName in the map, whichever they dial. */
function planAddresses({ hostname, acmeIps }: AcmeConfig, { bound, present }: Addresses): Identifier[] {
  const listed = parseList(acmeIps);
  const found = listed.length > 0 ? listed : present.filter(isPublicAddress);
  const named = isIP(hostname) === 0 ? [] : [hostname];
  const all = [...named, ...found];
  const candidates = all.length > 0 || bound === undefined ? all : [bound];
  const unique = new Map(candidates.map(identify).map((identifier) => [identifier.value, identifier]));
  return [...unique.values()];
}

/** derper's host policy: its own name and no other; with the default name, which is Tailscale's, those of Tailscale's relays. */
function planForName(config: AcmeConfig, name: string): PlannedCertificate | undefined {
  const { certMode, hostname } = config;
  if (certMode === "acme-ip" || isIP(name) !== 0) return undefined;
  const isOurs =
    hostname === tailscales ? /^derp[^.]*\.tailscale\.com$/.test(name) : name === hostname.toLowerCase();
  return isOurs ? forDns(config, name) : undefined;
}

/** derper's `-acme-ip-certs`: whatever address clients come to. A public authority is not asked about what only this network knows. */
function planForAddress(config: AcmeConfig, address: string): PlannedCertificate | undefined {
  const { acmeIpCerts, acmeDirectory } = config;
  const isWorthAsking = acmeDirectory !== "" || isPublicAddress(address);
  return acmeIpCerts && isWorthAsking ? forIps(config, [identify(address)]) : undefined;
}

function forDns(config: AcmeConfig, name: string): PlannedCertificate {
  const profile = config.acmeProfile ?? "";
  return {
    identifiers: [identify(name)],
    profile: profile === "" ? undefined : profile,
    methods: config.httpPort < 0 ? ["tls-alpn-01"] : ["tls-alpn-01", "http-01"],
  };
}

/** derper proves addresses by HTTP-01 alone, so that comes first with its option. */
function forIps(config: AcmeConfig, identifiers: PlannedCertificate["identifiers"]): PlannedCertificate {
  const profile = config.acmeProfile ?? "shortlived";
  const { methods } = forDns(config, "");
  return {
    identifiers,
    profile: profile === "" ? undefined : profile,
    methods: config.acmeIpCerts ? methods.toReversed() : methods,
  };
}

/** The default of `-hostname`. */
const tailscales = "derp.tailscale.com";
