/**
 * A certificate authority for tests. Whoever is given its certificate as SSL_CERT_FILE, Go's programs and our relay
 * among them, trusts what it issues.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import {
  buildCertificate,
  buildExtension,
  buildName,
  buildNoCaConstraint,
} from "../relay/crypto/certificate.ts";
import * as der from "../relay/crypto/der.ts";
import { renderPem } from "../relay/crypto/pem.ts";

/** A certificate and its key, both PEM. */
export interface IssuedPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface TestAuthority {
  /** PEM: the root. */
  readonly certificatePem: string;
  /** Issues a certificate of a server for a DNS name. */
  issue(hostName: string): IssuedPair;
}

const dayMs = 86_400_000;
/** derpprobe finds fault with a certificate that ends within a week. */
const days = { before: 1, after: 60 };

/** Makes an authority with a key of its own, EC P-256. */
export function createTestAuthority(): TestAuthority {
  const privateKey = newKey();
  const name = buildName(der.utf8String(`derpkit test authority ${randomBytes(4).toString("hex")}`));
  const root = buildCertificate({
    serial: randomBytes(16),
    name,
    ...validity(),
    extensions: [
      buildExtension("2.5.29.19", true, der.sequence(der.booleanTrue())), // basicConstraints: a CA
      buildExtension("2.5.29.15", true, der.bitString(Buffer.of(0b0000_0100), 2)), // keyUsage: keyCertSign
      buildExtension("2.5.29.14", false, der.octetString(keyIdOf(privateKey))), // subjectKeyIdentifier
    ],
    signer: privateKey,
  });
  return {
    certificatePem: renderPem("CERTIFICATE", root),
    issue: (hostName) => issue({ name, privateKey }, hostName),
  };
}

/** RFC 5280, section 4.1: as a self-issued certificate, but for the issuer's name and key. */
function issue(
  issuer: { readonly name: Buffer; readonly privateKey: KeyObject },
  hostName: string,
): IssuedPair {
  const key = newKey();
  const algorithm = der.sequence(der.objectIdentifier("1.2.840.10045.4.3.2")); // ECDSA with SHA-256
  const { notBefore, notAfter } = validity();
  const extensions = [
    buildExtension("2.5.29.37", false, der.sequence(der.objectIdentifier("1.3.6.1.5.5.7.3.1"))), // serverAuth
    buildNoCaConstraint(),
    // authorityKeyIdentifier: derpprobe takes a certificate for a meta certificate that has neither identifier.
    buildExtension("2.5.29.35", false, der.sequence(der.implicit(0, keyIdOf(issuer.privateKey)))),
    buildExtension("2.5.29.17", false, der.sequence(der.implicit(2, Buffer.from(hostName, "ascii")))),
  ];
  const body = der.sequence(
    der.explicit(0, der.unsignedInteger(Buffer.of(2))), // v3
    der.unsignedInteger(randomBytes(16)),
    algorithm,
    issuer.name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    buildName(der.utf8String(hostName)),
    createPublicKey(key).export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(...extensions)),
  );
  const signature = sign("sha256", body, issuer.privateKey);
  return {
    certificatePem: renderPem("CERTIFICATE", der.sequence(body, algorithm, der.bitString(signature))),
    keyPem: key.export({ type: "sec1", format: "pem" }).toString(),
  };
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** 160 bits of a digest of the public key (RFC 7093, section 2). */
function keyIdOf(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest().subarray(0, 20);
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - days.before * dayMs), notAfter: new Date(now + days.after * dayMs) };
}
