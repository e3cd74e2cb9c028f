/** Which listener a configuration asks for, and whether its certificate can be had: derper's rules, in derper's order. */
import { isIP } from "node:net";
import type { Problem } from "../errors.ts";
import type { ListenAddress } from "./listen-address.ts";
import { renderPath } from "./load.ts";
import type { RelayConfig } from "./schema.ts";

type CertificateOptions = Pick<
  RelayConfig,
  "certMode" | "hostname" | "acmeEmail" | "acmeEabKid" | "acmeEabKey" | "acmeIpCerts"
>;

/** Tells whether the relay does TLS itself. Otherwise it speaks plain HTTP, to a proxy that does TLS. */
export function servesTls({ port }: ListenAddress, certMode: RelayConfig["certMode"]): boolean {
  return port === 443 || certMode === "manual" || certMode === "pinned";
}

/**
 * Says what keeps a relay that does TLS from its certificate, before any file is looked at.
 *
 * @param certDir the folder of the certificates; empty if there is none
 * @returns undefined if nothing does
 */
export function findModeFault(config: CertificateOptions, certDir: string): Problem | undefined {
  const { certMode, hostname, acmeIpCerts } = config;
  if (certDir === "") return problem("certDir", "has to be given: there is no cache folder to put it in");
  if (acmeIpCerts && certMode !== "letsencrypt") return problem("acmeIpCerts", "needs -certmode=letsencrypt");
  if (hostname === "") return problem("hostname", "must not be empty");
  if (certMode === "manual" || certMode === "pinned") return undefined;
  if (certMode === "gcp") return findGcpFault(config) ?? comesLater(certMode);
  if (isIP(hostname) !== 0 && !acmeIpCerts) {
    const ways = "use -certmode=manual for a self-signed certificate, or -acme-ip-certs";
    return problem("hostname", `is an IP address: ${ways}`);
  }
  return comesLater(certMode);
}

function findGcpFault({
  hostname,
  acmeEabKid,
  acmeEabKey,
  acmeEmail,
}: CertificateOptions): Problem | undefined {
  if (isIP(hostname) !== 0) return problem("hostname", "has to be a DNS name with -certmode=gcp");
  if (acmeEabKid === "" || acmeEabKey === "") {
    return problem("certMode", "gcp needs -acme-eab-kid and -acme-eab-key");
  }
  if (acmeEmail === "") return problem("certMode", "gcp needs -acme-email");
  return isBase64(acmeEabKey) ? undefined : problem("acmeEabKey", "is not base64");
}

function comesLater(certMode: string): Problem {
  return problem("certMode", `certmode ${certMode} comes with a later version: use manual or pinned`);
}

/** base64url without padding, or base64 with it. */
function isBase64(text: string): boolean {
  const url = /^[\w-]+$/.test(text) && text.length % 4 !== 1;
  return url || /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
}

function problem(name: keyof RelayConfig, message: string): Problem {
  return { path: renderPath(name), message };
}
