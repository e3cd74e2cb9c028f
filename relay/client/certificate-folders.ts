/** Folders of certificates, as SSL_CERT_DIR names them. */
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The certificates of several folders, with colons between; none for a single one, which Node reads by itself. */
export function readCertificateFolders(folders: string): string[] {
  return folders.includes(":") ? folders.split(":").flatMap(readFolder) : [];
}

/** As in Go, what cannot be read, or is no certificate, is no root and no error. */
function readFolder(folder: string): string[] {
  return (
    attempt(() => readdirSync(folder))?.flatMap((file) => {
      const text = attempt(() => readFileSync(join(folder, file), "utf8")) ?? "";
      const blocks = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
      return blocks.filter((pem) => attempt(() => new X509Certificate(pem)) !== undefined);
    }) ?? []
  );
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
