/** Whether a CA handed out what was ordered. */
import { createPublicKey, X509Certificate } from "node:crypto";
import { readSequence } from "../crypto/der-reader.ts";
import { renderPem } from "../crypto/pem.ts";
import type { Identifier } from "./identifier.ts";

export interface Ordered {
  readonly identifiers: readonly Identifier[];
  /** DER. */
  readonly csr: Uint8Array;
}

const dayMs = 86_400_000;
/** More than any CA's. */
const longestChain = 10;

/**
 * Checks a chain: certificates and nothing else, the leaf first, that for the request's key, for every name, and valid
 * today. A clock that is wrong by a day refuses none.
 *
 * @param now unix milliseconds
 * @returns the chain as it is to be served, or what is wrong with it
 */
export function checkChain(
  pem: string,
  ordered: Ordered,
  now: number,
): { chain: string } | { fault: string } {
  const certificates = parseChain(pem);
  const [leaf] = certificates ?? [];
  if (certificates === undefined || leaf === undefined) return { fault: "it is no chain of certificates" };
  const fault = findFault(leaf, ordered, now);
  if (fault !== undefined) return { fault };
  return { chain: certificates.map(({ raw }) => renderPem("CERTIFICATE", raw)).join("") };
}

function findFault(leaf: X509Certificate, { identifiers, csr }: Ordered, now: number): string | undefined {
  if (!hasKeyOf(leaf, csr)) return "it is for another key";
  const missing = identifiers.find((identifier) => !covers(leaf, identifier));
  if (missing !== undefined) return `it is not valid for ${missing.value}`;
  if (leaf.validFromDate.getTime() > now + dayMs) {
    return `it is valid from ${leaf.validFromDate.toISOString()} on only`;
  }
  if (leaf.validToDate.getTime() < now - dayMs) return `it ended at ${leaf.validToDate.toISOString()}`;
  return undefined;
}

/** Other things in the answer, a private key for example, are refused (RFC 8555, section 11.4). */
function parseChain(pem: string): X509Certificate[] | undefined {
  const block = /-----BEGIN ([A-Z0-9 ]+)-----[\sA-Za-z0-9+/=]+-----END \1-----/g;
  const blocks = [...pem.matchAll(block)];
  if (blocks.length > longestChain || blocks.some(([, label]) => label !== "CERTIFICATE")) return undefined;
  if (pem.replaceAll(block, "").includes("-----")) return undefined;
  try {
    return blocks.map(([text]) => new X509Certificate(text));
  } catch {
    return undefined;
  }
}

function hasKeyOf(leaf: X509Certificate, csr: Uint8Array): boolean {
  const [body] = readSequence(csr) ?? [];
  const [, , publicKey] = (body && readSequence(body.whole)) ?? []; // After version and subject (RFC 2986, 4.1).
  if (publicKey === undefined) return false;
  return createPublicKey({ key: publicKey.whole, format: "der", type: "spki" }).equals(leaf.publicKey);
}

function covers(leaf: X509Certificate, { type, value }: Identifier): boolean {
  const found = type === "ip" ? leaf.checkIP(value) : leaf.checkHost(value, { subject: "never" });
  return found !== undefined;
}
