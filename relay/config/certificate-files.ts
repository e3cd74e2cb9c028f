/** The certificate files of a relay: derper's names and layout (`-certdir`), checked before they are used. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { RelayConfig } from "./schema.ts";
import { createSelfSigned, manualValidity, pinnedValidity, type Validity } from "../crypto/self-signed.ts";
import { KitError } from "../errors.ts";
import { readIfThere, writeWhole } from "./files.ts";

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
 * Reads the certificate that a relay serves. In mode `pinned`, and for an IP address in mode `manual` (as derper does),
 * a self-signed pair is made if neither file is there: for ten years in `pinned`, for one in `manual`.
 *
 * @param folder the certificate folder, absolute
 * @throws KitError `certificate-invalid` or `file-unreadable`
 */
export async function loadCertificate(
  { certMode, hostname }: Pick<RelayConfig, "certMode" | "hostname">,
  folder: string,
  now: Date,
): Promise<CertificatePair> {
  const paths = certificatePaths(folder, hostname);
  const [chain, key] = await Promise.all([readIfThere(paths.crt), readIfThere(paths.key)]);
  if (chain === undefined && key === undefined && (certMode === "pinned" || isIP(hostname) !== 0)) {
    return makePair(folder, hostname, certMode === "pinned" ? pinnedValidity(now) : manualValidity(now));
  }
  if (chain === undefined || key === undefined) {
    const missing = chain === undefined ? paths.crt : paths.key;
    throw new KitError("certificate-invalid", { where: missing, message: "The file is not there." });
  }
  const fault = findPairFault({ chain, key }, hostname, now);
  if (fault === undefined) return { chain, key };
  throw new KitError("certificate-invalid", { where: paths.crt, message: `The certificate ${fault}.` });
}

/** What keeps a relay from serving a certificate for a host name, as a clause; undefined if nothing does. */
export function findPairFault(
  { chain, key }: CertificatePair,
  hostname: string,
  now: Date,
): string | undefined {
  const leaf = attempt(() => new X509Certificate(chain));
  const privateKey = attempt(() => createPrivateKey(key));
  if (leaf === undefined) return "cannot be read";
  if (privateKey === undefined || !leaf.checkPrivateKey(privateKey)) return "does not fit its key";
  const named =
    isIP(hostname) === 0 ? leaf.checkHost(hostname, { subject: "never" }) : leaf.checkIP(hostname);
  if (named === undefined) return `is not for ${hostname}: it names ${leaf.subjectAltName ?? "nothing"}`;
  if (leaf.validFromDate > now) return `is not valid yet: it begins at ${leaf.validFromDate.toISOString()}`;
  if (leaf.validToDate < now) return `is not valid any more: it ended at ${leaf.validToDate.toISOString()}`;
  return undefined;
}

async function makePair(folder: string, hostname: string, validity: Validity): Promise<CertificatePair> {
  const { certificatePem, keyPem } = createSelfSigned({ hostName: hostname, ...validity });
  const paths = certificatePaths(folder, hostname);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
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
