/**
 * Self-signed certificates that clients pin (`CertName: sha256-raw:...` in the derpMap), with the properties of those
 * that derper makes for itself.
 *
 * The serial number, the key and ECDSA's nonce are drawn at random here: a certificate is made once in years, and
 * whoever needs it twice alike passes the first two.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { buildCertificate, buildExtension, buildName, buildNoCaConstraint } from "./certificate.ts";
import * as der from "./der.ts";
import { renderPem } from "./pem.ts";
import { buildSubjectAltName, maxCommonNameLength } from "./subject-alt-name.ts";

export interface SelfSignedOptions {
  /** The DNS name or IP address that clients connect to; a DNS name in ASCII form. */
  readonly hostName: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Unsigned, big-endian; default 128 random bits. */
  readonly serial?: Uint8Array;
  /** Private key, EC P-256; default a new one. */
  readonly privateKey?: KeyObject;
}

export interface SelfSigned {
  readonly certificatePem: string;
  /** SEC1, `EC PRIVATE KEY`, as Go's servers write it. Never to be printed. */
  readonly keyPem: string;
  /** What the derpMap's CertName has to be. */
  readonly pin: string;
}

/**
 * Makes a self-signed certificate for one host.
 *
 * @throws KitError `certificate-invalid` if a certificate cannot hold the host name
 */
export function createSelfSigned({ hostName, notBefore, notAfter, ...given }: SelfSignedOptions): SelfSigned {
  const subjectAltName = buildSubjectAltName([hostName]);
  const privateKey = given.privateKey ?? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const certificate = buildCertificate({
    serial: given.serial ?? randomBytes(16),
    name: buildName(der.utf8String(commonName(hostName))),
    notBefore,
    notAfter,
    extensions: [keyUsage(), serverAuth(), buildNoCaConstraint(), subjectAltName],
    signer: privateKey,
  });
  return {
    certificatePem: renderPem("CERTIFICATE", certificate),
    keyPem: privateKey.export({ type: "sec1", format: "pem" }).toString(),
    pin: certificatePin(certificate),
  };
}

export type Validity = Pick<SelfSignedOptions, "notBefore" | "notAfter">;

/** When a pinned certificate is valid: for ten years, as a new one would be a new pin. */
export function pinnedValidity(now: Date): Validity {
  return validity(now, 3_652);
}

/** When one is valid that stands in for an authority's: for a year, as derper's and as long as clients take. */
export function manualValidity(now: Date): Validity {
  return validity(now, 365);
}

const dayMs = 86_400_000;

/** From a day ago on, for clients whose clock is behind. */
function validity(now: Date, days: number): Validity {
  return { notBefore: new Date(now.getTime() - dayMs), notAfter: new Date(now.getTime() + days * dayMs) };
}

/** The CertName that pins a certificate: the SHA-256 of its whole DER. */
export function certificatePin(certificate: Uint8Array): string {
  return `sha256-raw:${createHash("sha256").update(certificate).digest("hex")}`;
}

/** Clients look at the SAN only. A name beyond X.520's 64 characters is shown by its first label, which always fits. */
function commonName(hostName: string): string {
  return hostName.length <= maxCommonNameLength ? hostName : (hostName.split(".")[0] ?? hostName);
}

/** digitalSignature (bit 0) and keyEncipherment (bit 2), the highest bit being bit 0 (RFC 5280, 4.2.1.3). */
function keyUsage(): Buffer {
  return buildExtension("2.5.29.15", true, der.bitString(Buffer.of(0b1010_0000), 5));
}

function serverAuth(): Buffer {
  return buildExtension("2.5.29.37", false, der.sequence(der.objectIdentifier("1.3.6.1.5.5.7.3.1")));
}
