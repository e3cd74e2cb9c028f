/** The certificate files of a relay: derper's names and layout (`-certdir`), checked before they are used. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { RelayConfig } from "./schema.ts";
import { createSelfSigned } from "../crypto/self-signed.ts";
import { KitError } from "../errors.ts";

/** A certificate chain and its key, as TLS wants them. */
export interface CertificatePair {
  /** PEM: the leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

const dayMs = 86_400_000;
/** Nobody renews a pinned certificate: clients trust its digest alone, and a new one would be a new pin. */
const pinnedDays = 3_650;

/** The files of a host name in a certificate folder. derper removes every character outside `A-Z a-z 0-9 - .`. */
export function certificatePaths(
  folder: string,
  hostname: string,
): { readonly crt: string; readonly key: string } {
  const name = hostname.replaceAll(/[^A-Za-z0-9.-]/g, "");
  return { crt: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

/**
 * Reads the certificate that a relay serves. In mode `pinned`, and for an IP address in mode `manual` (as derper does),
 * a self-signed pair is made if neither file is there.
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
    return makePair(folder, hostname, now);
  }
  if (chain === undefined || key === undefined) {
    const missing = chain === undefined ? paths.crt : paths.key;
    throw new KitError("certificate-invalid", { where: missing, message: "The file is not there." });
  }
  checkPair(paths.crt, hostname, chain, key, now);
  return { chain, key };
}

async function makePair(folder: string, hostname: string, now: Date): Promise<CertificatePair> {
  const notBefore = new Date(now.getTime() - dayMs); // For clients whose clock is behind.
  const notAfter = new Date(now.getTime() + pinnedDays * dayMs);
  const { certificatePem, keyPem } = createSelfSigned({ hostName: hostname, notBefore, notAfter });
  const paths = certificatePaths(folder, hostname);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await replaceFile(paths.key, keyPem, 0o600);
    await replaceFile(paths.crt, certificatePem, 0o644);
  } catch (cause) {
    throw new KitError("file-unreadable", {
      where: folder,
      message: "The certificate cannot be stored.",
      cause,
    });
  }
  return { chain: certificatePem, key: keyPem };
}

function checkPair(where: string, hostname: string, chain: string, keyPem: string, now: Date): void {
  const fail = (message: string): never => {
    throw new KitError("certificate-invalid", { where, message });
  };
  const leaf = attempt(() => new X509Certificate(chain)) ?? fail("The certificate cannot be read as PEM.");
  const key: KeyObject = attempt(() => createPrivateKey(keyPem)) ?? fail("Its key cannot be read as PEM.");
  if (!leaf.checkPrivateKey(key)) fail("Its key belongs to another certificate.");
  const names =
    isIP(hostname) === 0 ? leaf.checkHost(hostname, { subject: "never" }) : leaf.checkIP(hostname);
  if (names === undefined)
    fail(`The certificate is not valid for ${hostname}: it names ${leaf.subjectAltName ?? "nothing"}.`);
  if (now > leaf.validToDate) fail(`The certificate ended on ${leaf.validToDate.toISOString()}.`);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new KitError("file-unreadable", { where: path, cause });
  }
}

/** Writes a file whole or not at all. */
async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const next = `${path}.new`;
  await writeFile(next, content, { mode });
  await rename(next, path);
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
