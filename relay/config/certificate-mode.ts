/** Which listener a configuration asks for, and whether its certificate can be had: derper's rules, in derper's order. */
import { isIP } from "node:net";
import type { Problem } from "../errors.ts";
import type { ListenAddress } from "./listen-address.ts";
import { renderPath } from "./load.ts";
import type { RelayConfig } from "./schema.ts";

type CertificateOptions = Pick<
  RelayConfig,
  "certMode" | "hostname" | "acmeEmail" | "acmeEabKid" | "acmeEabKey" | "acmeIpCerts" | "acmeDirectory"
>;

/**
 * Tells whether the relay does TLS itself. Otherwise it speaks plain HTTP, to a proxy that does TLS. derper goes by the
 * port and by `manual`; whoever names a directory, which derper cannot, wants certificates.
 */
export function servesTls(
  { port }: ListenAddress,
  { certMode, acmeDirectory }: Pick<RelayConfig, "certMode" | "acmeDirectory">,
): boolean {
  const isDerpers = certMode === "letsencrypt" || certMode === "gcp";
  return port === 443 || !isDerpers || acmeDirectory !== "";
}

/** Tells whether a certificate authority is asked for certificates. */
export function usesAcme(certMode: RelayConfig["certMode"]): boolean {
  return certMode !== "manual" && certMode !== "pinned";
}

/**
 * Says what keeps a relay that does TLS from its certificate, before any file is looked at.
 *
 * @param certDir the folder of the certificates; empty if there is none
 * @returns undefined if nothing does
 */
export function findModeFault(config: CertificateOptions, certDir: string): Problem | undefined {
  const { certMode, hostname, acmeIpCerts, acmeDirectory } = config;
  if (certDir === "") return problem("certDir", "has to be given: there is no cache folder to put it in");
  if (acmeIpCerts && certMode !== "letsencrypt") return problem("acmeIpCerts", "needs -certmode=letsencrypt");
  if (hostname === "") return problem("hostname", "must not be empty");
  if (!usesAcme(certMode)) {
    return acmeDirectory === "" ? undefined : problem("acmeDirectory", "needs -certmode=acme or acme-ip");
  }
  return findNameFault(config) ?? findBindingFault(config);
}

/** The account's binding to one that the authority knows from elsewhere. Let's Encrypt knows none: there derper looks at nothing. */
function findBindingFault(config: CertificateOptions): Problem | undefined {
  const { certMode, acmeEabKid, acmeEabKey, acmeEmail, acmeDirectory } = config;
  if (certMode === "gcp" && (acmeEabKid === "" || acmeEabKey === "")) {
    return problem("certMode", "gcp needs -acme-eab-kid and -acme-eab-key");
  }
  if (certMode === "gcp" && acmeEmail === "") return problem("certMode", "gcp needs -acme-email");
  if (certMode === "letsencrypt" && acmeDirectory === "") return undefined;
  if ((acmeEabKid === "") !== (acmeEabKey === "")) {
    const missing = acmeEabKid === "" ? "acmeEabKid" : "acmeEabKey";
    return problem(missing, "has to be given as well: -acme-eab-kid and -acme-eab-key go together");
  }
  return isBase64(acmeEabKey) ? undefined : problem("acmeEabKey", "is not base64");
}

/** What a certificate of this mode can be for. */
function findNameFault({ certMode, hostname, acmeIpCerts }: CertificateOptions): Problem | undefined {
  const isAddress = isIP(hostname) !== 0;
  if (certMode === "acme-ip") {
    if (isAddress || hostname === unnamed) return undefined;
    return problem(
      "hostname",
      "has to be an IP address of this machine with -certmode=acme-ip; for a name use acme",
    );
  }
  if (certMode === "acme" && hostname === unnamed) {
    return problem("hostname", "has to be given: the DNS name that the certificate is for");
  }
  if (isAddress && certMode === "gcp") return problem("hostname", "has to be a DNS name with -certmode=gcp");
  if (isAddress && !acmeIpCerts) {
    const own = certMode === "acme" ? "-certmode=acme-ip for one" : "-acme-ip-certs";
    return problem(
      "hostname",
      `is an IP address: use -certmode=manual for a self-signed certificate, or ${own}`,
    );
  }
  return isAddress || isName(hostname)
    ? undefined
    : problem("hostname", "is no DNS name that a certificate can be for");
}

/** derper's default, which belongs to Tailscale: nobody has said what this relay is called. */
const unnamed = "derp.tailscale.com";

/** Labels of letters, digits and hyphens, an international one in its xn-- form. */
function isName(text: string): boolean {
  return (
    text.length <= 253 &&
    /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i.test(text)
  );
}

/** base64url without padding, or base64 with it; empty for none. */
function isBase64(text: string): boolean {
  const url = /^[\w-]*$/.test(text) && text.length % 4 !== 1;
  return url || /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
}

function problem(name: keyof RelayConfig, message: string): Problem {
  return { path: renderPath(name), message };
}
