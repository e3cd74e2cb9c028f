/** Certificate signing requests (PKCS#10, RFC 2986): what a certificate authority is asked to sign. */
import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { isIP } from "node:net";
import { buildName, signatureAlgorithm } from "./certificate.ts";
import * as der from "./der.ts";
import { buildSubjectAltName, maxCommonNameLength } from "./subject-alt-name.ts";

export interface CertificateRequest {
  /** DNS names in ASCII form and IP addresses; at least one. */
  readonly names: readonly string[];
  /** The certificate's private key, EC P-256. */
  readonly privateKey: KeyObject;
}

/**
 * Builds and signs a request. The names are in the subjectAltName. The first DNS name is the subject's common name too,
 * if it fits; an address never is.
 *
 * @returns its DER
 * @throws KitError `certificate-invalid` if a certificate cannot hold a name
 */
export function buildCertificateRequest({ names, privateKey }: CertificateRequest): Buffer {
  const extensions = der.sequence(buildSubjectAltName(names));
  const extensionRequest = der.sequence(
    der.objectIdentifier("1.2.840.113549.1.9.14"), // RFC 2985, 5.4.2
    der.setOfOne(extensions),
  );
  const algorithm = signatureAlgorithm(privateKey);
  const body = der.sequence(
    der.unsignedInteger(Buffer.of(0)), // v1, the only one
    buildSubject(names),
    createPublicKey(privateKey).export({ type: "spki", format: "der" }),
    der.explicit(0, extensionRequest), // [0] IMPLICIT SET OF one attribute looks the same.
  );
  return der.sequence(body, algorithm.identifier, der.bitString(sign(algorithm.digest, body, privateKey)));
}

function buildSubject(names: readonly string[]): Buffer {
  const commonName = names.find((name) => isIP(name) === 0);
  const fits = commonName !== undefined && commonName.length <= maxCommonNameLength;
  return fits ? buildName(der.utf8String(commonName)) : der.sequence();
}
