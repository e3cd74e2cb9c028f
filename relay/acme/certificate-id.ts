/** The name of a certificate in renewal information and `replaces` (RFC 9773, section 4.1). */
import { type DerElement, readSequence } from "../crypto/der-reader.ts";

/**
 * The base64url of the authority key identifier, a dot, the base64url of the serial number. Node's X509Certificate does not
 * show the first, and shows the second without the leading zero byte that belongs to it.
 *
 * @param pem a certificate, or a chain with the leaf first
 * @returns undefined if the leaf has no authority key identifier, or is no certificate
 */
export function certificateId(pem: string): string | undefined {
  const [serial, ...others] = readBody(pem) ?? [];
  const keyIdentifier = readKeyIdentifier(others);
  if (serial?.tag !== 0x02 || serial.contents.length === 0 || keyIdentifier === undefined) return undefined;
  return `${keyIdentifier.toString("base64url")}.${serial.contents.toString("base64url")}`;
}

const version = 0xa0;
const extensions = 0xa3;
const authorityKeyIdentifier = Buffer.from("0603551d23", "hex"); // 2.5.29.35
const keyIdentifierTag = 0x80;

/** The members of TBSCertificate from the serial number on (RFC 5280, 4.1). */
function readBody(pem: string): DerElement[] | undefined {
  const [, base64] =
    /-----BEGIN CERTIFICATE-----([\sA-Za-z0-9+/=]+)-----END CERTIFICATE-----/.exec(pem) ?? [];
  const [body] = readSequence(Buffer.from(base64 ?? "", "base64")) ?? [];
  const members = body && readSequence(body.whole);
  return members?.[0]?.tag === version ? members.slice(1) : members;
}

function readKeyIdentifier(members: readonly DerElement[]): Buffer | undefined {
  const list = members.find(({ tag }) => tag === extensions);
  const extension = (list && readSequence(list.contents))
    ?.map(({ whole }) => readSequence(whole))
    .find((parts) => parts?.[0]?.whole.equals(authorityKeyIdentifier));
  const value = extension?.at(-1); // After a `critical` that may be there.
  const fields = value && readSequence(value.contents);
  const field = fields?.find(({ tag }) => tag === keyIdentifierTag);
  return field === undefined || field.contents.length === 0 ? undefined : field.contents;
}
