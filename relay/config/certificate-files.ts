/** The certificate files of a relay: derper's names and layout (`-certdir`), checked before they are used. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import type { RelayConfig } from "./schema.ts";
import { createSelfSigned, manualValidity, pinnedValidity, type Validity } from "../crypto/self-signed.ts";
import { KitError } from "../errors.ts";
import { makeFolder, readIfThere, writeWhole } from "./files.ts";

/** A certificate chain and its key, as TLS wants them. */
export interface CertificatePair {
  /** PEM: the leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

export interface CertificatePaths {
  readonly crt: string;
  readonly key: string;
}

/** The files of a host name in a certificate folder. derper removes every character outside `A-Z a-z 0-9 - .`. */
export function certificatePaths(folder: string, hostname: string): CertificatePaths {
  const name = hostname.replaceAll(/[^A-Za-z0-9.-]/g, "");
  return { crt: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

/**
 * Reads the certificate that a relay begins with. In mode `pinned`, and for an IP address in mode `manual` (as derper
 * does), a self-signed pair is made if neither file is there: for ten years in `pinned`, for one in `manual`.
 *
 * As with derper, one that is valid on other days does not keep the relay from starting: its clock may be wrong.
 *
 * @param folder the certificate folder, absolute
 * @param warn is told what is wrong with the days
 * @throws KitError `certificate-invalid` or `file-unreadable`
 */
export async function loadCertificate(
  { certMode, hostname }: Pick<RelayConfig, "certMode" | "hostname">,
  folder: string,
  now: Date,
  warn: (message: string) => void,
): Promise<CertificatePair> {
  const { crt, key } = certificatePaths(folder, hostname);
  const mayMake = certMode === "pinned" || isIP(hostname) !== 0;
  if (mayMake && (await readIfThere(crt)) === undefined && (await readIfThere(key)) === undefined) {
    return makePair(folder, hostname, certMode === "pinned" ? pinnedValidity(now) : manualValidity(now));
  }
  const pair = await readPair(hostname, folder);
  const fault = findValidityFault(new X509Certificate(pair.chain), now);
  if (fault !== undefined) warn(`${crt}: the certificate ${fault}; clients will refuse it`);
  return pair;
}

/**
 * Reads the certificate again that a running relay serves. Nothing is made, and what clients would refuse is refused.
 *
 * @throws KitError `certificate-invalid` or `file-unreadable`
 */
export async function reloadCertificate(
  hostname: string,
  folder: string,
  now: Date,
): Promise<CertificatePair> {
  const pair = await readPair(hostname, folder);
  const fault = findPairFault(pair, hostname, now);
  if (fault === undefined) return pair;
  throw invalid(certificatePaths(folder, hostname).crt, fault);
}

/** What keeps clients from taking a certificate for a host name, as a clause; undefined if nothing does. */
export function findPairFault(pair: CertificatePair, hostname: string, now: Date): string | undefined {
  return findMismatch(pair, hostname) ?? findValidityFault(new X509Certificate(pair.chain), now);
}

/** @throws KitError if a file is missing, or they are not for each other or for the host name */
async function readPair(hostname: string, folder: string): Promise<CertificatePair> {
  const paths = certificatePaths(folder, hostname);
  const [chain, key] = await Promise.all([readIfThere(paths.crt), readIfThere(paths.key)]);
  if (chain === undefined || key === undefined) {
    const missing = chain === undefined ? paths.crt : paths.key;
    throw new KitError("certificate-invalid", { where: missing, message: "The file is not there." });
  }
  const fault = findMismatch({ chain, key }, hostname);
  if (fault !== undefined) throw invalid(paths.crt, fault);
  return { chain, key };
}

function invalid(where: string, fault: string): KitError {
  return new KitError("certificate-invalid", { where, message: `The certificate ${fault}.` });
}

/** What keeps a pair from being one for a host name, whatever its days, as a clause; undefined if nothing does. */
export function findMismatch({ chain, key }: CertificatePair, hostname: string): string | undefined {
  const leaf = attempt(() => new X509Certificate(chain));
  const privateKey = attempt(() => createPrivateKey(key));
  if (leaf === undefined) return "cannot be read";
  if (privateKey === undefined || !leaf.checkPrivateKey(privateKey)) return "does not fit its key";
  const named =
    isIP(hostname) === 0 ? leaf.checkHost(hostname, { subject: "never" }) : leaf.checkIP(hostname);
  return named === undefined
    ? `is not for ${hostname}: it names ${leaf.subjectAltName ?? "nothing"}`
    : undefined;
}

function findValidityFault({ validFromDate, validToDate }: X509Certificate, now: Date): string | undefined {
  if (validFromDate > now) return `is not valid yet: it begins at ${validFromDate.toISOString()}`;
  if (validToDate < now) return `is not valid any more: it ended at ${validToDate.toISOString()}`;
  return undefined;
}

async function makePair(folder: string, hostname: string, validity: Validity): Promise<CertificatePair> {
  const { certificatePem, keyPem } = createSelfSigned({ hostName: hostname, ...validity });
  const paths = certificatePaths(folder, hostname);
  try {
    await makeFolder(folder, 0o700);
    await writeWhole(paths.key, keyPem, 0o600);
    await writeWhole(paths.crt, certificatePem, 0o644);
  } catch (cause) {
    throw new KitError("file-unreadable", {
      where: folder,
      message: "The certificate cannot be stored.",
      cause,
    });
  }
  return { chain: certificatePem, key: keyPem };
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
