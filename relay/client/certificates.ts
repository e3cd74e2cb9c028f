/** What a client checks in the certificates of a relay, as Tailscale's clients do (`net/tlsdial`). Pure. */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { type MetaCertificate, parseMetaCertificate } from "../protocol/meta-certificate.ts";
import { certificatePin } from "../crypto/self-signed.ts";

/** Who a relay has to prove to be: these two fields of its node in the derpMap. */
export interface RelayIdentity {
  /** DNS name or IP address. */
  readonly hostName: string;
  /** Empty for the host name, another name, or `sha256-raw:` and the SHA-256 of the certificate's DER in lower-case hex. */
  readonly certName: string;
}

/** What a server showed. */
export interface ShownCertificates {
  /** DER of every certificate, in the order sent; the leaf is the first. */
  readonly certificates: readonly Uint8Array[];
  /** OpenSSL's verdict on the chain to a trusted root, for example `CERT_HAS_EXPIRED`; undefined if it holds. */
  readonly chainFault: string | undefined;
}

const pinPrefix = "sha256-raw:";
const dayMs = 86_400_000;

/** True if the certificate's hash is what counts, and no authority. */
export function isPinned({ certName }: RelayIdentity): boolean {
  return certName.startsWith(pinPrefix);
}

/**
 * Looks for a reason to leave before a single byte of DERP is written.
 *
 * A pinned relay shows exactly one certificate besides meta certificates; its hash is the pin, it is within its
 * validity, and it names the host if that is a DNS name. Any other relay shows a chain to a trusted root, for CertName
 * if there is one and for the host name otherwise. Only subject alternative names count, as in Go.
 *
 * @returns the reason as a clause, or undefined if the relay is the right one
 */
export function findIdentityFault(
  shown: ShownCertificates,
  identity: RelayIdentity,
  now: Date,
): string | undefined {
  const [first] = shown.certificates;
  if (first === undefined) return "the server showed no certificate";
  const leaf = new X509Certificate(first);
  return isPinned(identity)
    ? (findPinFault(shown.certificates, identity.certName) ??
        findValidityFault(leaf, now) ??
        (isIP(identity.hostName) === 0 ? findNameFault(leaf, identity.hostName) : undefined))
    : (findValidityFault(leaf, now) ??
        findChainFault(shown.chainFault) ??
        findNameFault(leaf, identity.certName || identity.hostName));
}

/** The first meta certificate among those that a relay sent. */
export function findMetaCertificate(certificates: readonly Uint8Array[]): MetaCertificate | undefined {
  return certificates.map(parseMetaCertificate).find((meta) => meta !== undefined);
}

/** Whole days until a certificate ends; negative if it has ended. */
export function daysLeft(certificate: Uint8Array, now: Date): number {
  return Math.floor((new X509Certificate(certificate).validToDate.getTime() - now.getTime()) / dayMs);
}

function findPinFault(certificates: readonly Uint8Array[], pin: string): string | undefined {
  const [leaf, ...others] = certificates;
  const found = leaf === undefined ? "no certificate" : certificatePin(leaf);
  if (found !== pin) return `the certificate is not the pinned one: it is ${found}, the map says ${pin}`;
  const surplus = others.filter((certificate) => !isMeta(certificate)).length;
  if (surplus === 0) return undefined;
  return `a pinned relay has to show one certificate besides the meta certificate, and this one shows ${1 + surplus}`;
}

/** Clients skip meta certificates by the beginning of their name alone. */
function isMeta(certificate: Uint8Array): boolean {
  return /^CN=derpkey/m.test(new X509Certificate(certificate).subject);
}

function findValidityFault({ validFromDate, validToDate }: X509Certificate, now: Date): string | undefined {
  if (now < validFromDate) return `the certificate is not valid before ${validFromDate.toISOString()}`;
  return now > validToDate ? `the certificate expired on ${validToDate.toISOString()}` : undefined;
}

function findNameFault(leaf: X509Certificate, name: string): string | undefined {
  const match = isIP(name) === 0 ? leaf.checkHost(name, { subject: "never" }) : leaf.checkIP(name);
  if (match !== undefined) return undefined;
  return `the certificate is not for ${name}, but for ${leaf.subjectAltName ?? "no name at all"}`;
}

function findChainFault(code: string | undefined): string | undefined {
  if (code === undefined) return undefined;
  return `the certificate has no chain to a trusted root: ${chainFaults[code] ?? code}`;
}

const chainFaults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "a certificate of the chain has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed and CertName does not pin it",
  SELF_SIGNED_CERT_IN_CHAIN: "the chain ends in a root that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its issuer is not known here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its issuer is not known here; an intermediate certificate may be missing",
};
