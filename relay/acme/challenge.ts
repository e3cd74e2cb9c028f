/**
 * What proves to a CA that this machine is what a certificate is for: TLS-ALPN-01 (RFC 8737) and HTTP-01 (RFC 8555, 8.3),
 * for DNS names and for addresses (RFC 8738).
 *
 * The challenge certificate's key and serial number are drawn at random here: it lives for seconds, and whoever needs it
 * twice alike passes both.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { buildCertificate, buildExtension, buildName, buildNoCaConstraint } from "../crypto/certificate.ts";
import * as der from "../crypto/der.ts";
import { renderPem } from "../crypto/pem.ts";
import { buildSubjectAltName } from "../crypto/subject-alt-name.ts";
import { encodeIp } from "../ip-address.ts";
import type { Identifier } from "./identifier.ts";

/** The ways of proof that a relay has. */
export const challengeMethods = ["tls-alpn-01", "http-01"] as const;
export type ChallengeMethod = (typeof challengeMethods)[number];

/** What an answer has to hold (RFC 8555, 8.1). @param accountThumbprint from `thumbprint` in jws.ts */
export function keyAuthorization(token: string, accountThumbprint: string): string {
  return `${token}.${accountThumbprint}`;
}

/** The SNI that the CA sends: a DNS name itself, for an address its reverse name (RFC 8738, section 6), in lower case. */
export function challengeServername({ type, value }: Identifier): string {
  const address = type === "ip" ? encodeIp(value) : undefined;
  if (address === undefined) return value;
  if (address.length === 4) return `${[...address].toReversed().join(".")}.in-addr.arpa`;
  return `${address.toString("hex").split("").toReversed().join(".")}.ip6.arpa`;
}

export interface ChallengeCertificateOptions {
  readonly identifier: Identifier;
  readonly keyAuthorization: string;
  readonly now: Date;
  /** EC P-256; default a new one. */
  readonly privateKey?: KeyObject;
  /** Unsigned, big-endian; default 128 random bits. */
  readonly serial?: Uint8Array;
}

export interface ChallengeCertificate {
  /** PEM: one certificate, valid for some days around now. */
  readonly chain: string;
  /** PEM. Never to be printed. */
  readonly key: string;
}

/**
 * Makes the certificate that answers TLS-ALPN-01: self-signed, for the identifier alone, with the digest of the key
 * authorization in a critical extension (RFC 8737, section 3).
 *
 * @throws KitError `certificate-invalid` if a certificate cannot hold the identifier
 */
export function createChallengeCertificate({
  identifier,
  now,
  ...given
}: ChallengeCertificateOptions): ChallengeCertificate {
  const privateKey = given.privateKey ?? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const digest = createHash("sha256").update(given.keyAuthorization).digest();
  const certificate = buildCertificate({
    serial: given.serial ?? randomBytes(16),
    name: buildName(der.utf8String("ACME challenge")),
    notBefore: new Date(now.getTime() - dayMs),
    notAfter: new Date(now.getTime() + 7 * dayMs),
    extensions: [
      buildNoCaConstraint(),
      buildSubjectAltName([identifier.value]),
      buildExtension(acmeIdentifier, true, der.octetString(digest)),
    ],
    signer: privateKey,
  });
  return {
    chain: renderPem("CERTIFICATE", certificate),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

const acmeIdentifier = "1.3.6.1.5.5.7.1.31";
const dayMs = 86_400_000;
