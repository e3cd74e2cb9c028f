/** Assembles self-issued X.509 v3 certificates (RFC 5280, section 4.1): the signer is also the subject. */
import { createPublicKey, type KeyObject, sign } from "node:crypto";
import * as der from "./der.ts";

export interface CertificateFields {
  /** Unsigned, big-endian, at most 20 bytes and not zero (RFC 5280, 4.1.2.2). */
  readonly serial: Uint8Array;
  /** Subject and issuer, from `buildName`. */
  readonly name: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** From `buildExtension`. */
  readonly extensions: readonly Uint8Array[];
  /** Private key, Ed25519 or EC P-256; its public half is the certificate's. */
  readonly signer: KeyObject;
}

/** Builds and signs a certificate. @returns its DER */
export function buildCertificate(fields: CertificateFields): Buffer {
  const { serial, name, notBefore, notAfter, extensions, signer } = fields;
  const algorithm = signatureAlgorithm(signer);
  const body = der.sequence(
    der.explicit(0, der.unsignedInteger(Buffer.of(2))), // v3
    der.unsignedInteger(serial),
    algorithm.identifier,
    name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    name,
    createPublicKey(signer).export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(...extensions)),
  );
  return der.sequence(body, algorithm.identifier, der.bitString(sign(algorithm.digest, body, signer)));
}

/** Builds a Name of one common name. @param text an encoded PrintableString or UTF8String */
export function buildName(text: Uint8Array): Buffer {
  return der.sequence(der.setOfOne(der.sequence(der.objectIdentifier("2.5.4.3"), text)));
}

/** Builds one Extension (RFC 5280, 4.2). A critical one makes whoever does not know it refuse the certificate. */
export function buildExtension(id: string, critical: boolean, value: Uint8Array): Buffer {
  const flag = critical ? [der.booleanTrue()] : [];
  return der.sequence(der.objectIdentifier(id), ...flag, der.octetString(value));
}

/** Builds basicConstraints, critical and with every field at its default: not a CA. */
export function buildNoCaConstraint(): Buffer {
  return buildExtension("2.5.29.19", true, der.sequence());
}

/**
 * How a private key signs: Ed25519, or EC P-256 with SHA-256. The algorithms' parameters are absent, not NULL (RFC 8410,
 * section 3; RFC 5758, section 3.2).
 */
export function signatureAlgorithm(signer: KeyObject): { identifier: Buffer; digest: "sha256" | null } {
  if (signer.asymmetricKeyType === "ed25519") {
    return { identifier: der.sequence(der.objectIdentifier("1.3.101.112")), digest: null };
  }
  return { identifier: der.sequence(der.objectIdentifier("1.2.840.10045.4.3.2")), digest: "sha256" };
}
