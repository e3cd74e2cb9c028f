/** The subjectAltName of a certificate or of a request for one: what it is for. */
import { KitError } from "../errors.ts";
import { encodeIp } from "../ip-address.ts";
import { buildExtension } from "./certificate.ts";
import * as der from "./der.ts";

/**
 * Builds the extension (RFC 5280, 4.2.1.6): iPAddress is [7] with 4 or 16 bytes, dNSName is [2] in ASCII.
 *
 * @param names DNS names in ASCII form and IP addresses
 * @throws KitError `certificate-invalid` if a certificate cannot hold a name
 */
export function buildSubjectAltName(names: readonly string[]): Buffer {
  return buildExtension("2.5.29.17", false, der.sequence(...names.map(encodeName)));
}

/** The text of a subject's common name for a DNS name: X.520 has room for 64 characters. */
export const maxCommonNameLength = 64;

function encodeName(name: string): Buffer {
  const address = encodeIp(name);
  if (address !== undefined) return der.implicit(7, address);
  if (!/^[\x21-\x7e]+$/.test(name)) {
    throw new KitError("certificate-invalid", {
      message: `A certificate cannot hold the host name ${JSON.stringify(name)}.`,
      fix: "Write the name in ASCII; a name in another script has an xn-- form.",
    });
  }
  return der.implicit(2, Buffer.from(name, "ascii"));
}
