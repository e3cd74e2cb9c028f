/**
 * The meta certificate: an extra certificate at the end of a relay's TLS chain that carries the relay's DERP key, so
 * that a client can seal its ClientInfo before the relay has spoken (derper's `MetaCert`, fast start).
 *
 * It proves nothing. Nobody checks its signature; the ClientInfo that was sealed to its key is what fails to open if
 * somebody exchanged it.
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import { protocolVersion } from "./frame.ts";
import { buildCertificate, buildName, buildNoCaConstraint } from "../crypto/certificate.ts";
import * as der from "../crypto/der.ts";
import { type NodeKey, parseUntypedKey } from "../crypto/keys.ts";

const namePrefix = "derpkey";

export interface MetaCertificateFields {
  /** The relay's public key. */
  readonly relayKey: NodeKey;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** A private Ed25519 key, made for this one certificate. */
  readonly signer: KeyObject;
}

/** What a client reads from a meta certificate. */
export interface MetaCertificate {
  /** The relay's protocol version, 0 to 255. 0 allows no fast start, as does an all-zero key. */
  readonly version: number;
  readonly relayKey: NodeKey;
}

/**
 * Builds the certificate: 359 bytes of DER up to the year 2049.
 *
 * The serial number is the protocol version. The common name has 71 characters, 7 more than X.520 allows, which no
 * parser minds; it is a PrintableString and basicConstraints is the only extension, as in derper's.
 */
export function buildMetaCertificate({ relayKey, ...fields }: MetaCertificateFields): Buffer {
  return buildCertificate({
    ...fields,
    serial: Buffer.of(protocolVersion),
    name: buildName(der.printableString(namePrefix + relayKey.toString("hex"))),
    extensions: [buildNoCaConstraint()],
  });
}

/**
 * Reads a certificate of a relay's chain; undefined for every other certificate, and for bytes that are none.
 * As lenient as Go's client: the name's prefix, a key and a serial number of at most 8 bits are all that counts.
 */
export function parseMetaCertificate(certificate: Uint8Array): MetaCertificate | undefined {
  const parsed = parseCertificate(certificate);
  if (parsed === undefined) return undefined;
  const name = commonName(parsed);
  const relayKey = name.startsWith(namePrefix) ? parseUntypedKey(name.slice(namePrefix.length)) : undefined;
  if (relayKey === undefined || !/^[0-9A-F]{1,2}$/i.test(parsed.serialNumber)) return undefined;
  return { version: Number.parseInt(parsed.serialNumber, 16), relayKey };
}

function parseCertificate(certificate: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate);
  } catch {
    return undefined;
  }
}

/** The last common name, which is the one that Go takes when there are several; empty if there is none. */
function commonName({ subject }: X509Certificate): string {
  const attributes: readonly string[] = (subject ?? "").split("\n"); // Node has no subject for an empty name.
  return attributes.findLast((attribute) => attribute.startsWith("CN="))?.slice("CN=".length) ?? "";
}
