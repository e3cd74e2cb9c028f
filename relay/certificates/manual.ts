/** Certificates from files that somebody else renews: read again when they change, and checked before they are taken. */
import { X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import { isIP } from "node:net";
import {
  type CertificatePair,
  certificatePaths,
  loadCertificate,
  reloadCertificate,
} from "../config/certificate-files.ts";
import { isErrno } from "../config/files.ts";
import type { RelayConfig } from "../config/schema.ts";
import { renderError } from "../errors.ts";
import type { CertificateStatus } from "./report.ts";
import type { CertificateSource } from "./source.ts";

export interface FileSourceOptions {
  readonly config: Pick<RelayConfig, "certMode" | "hostname">;
  /** Folder of the certificates; absolute. */
  readonly certDir: string;
  readonly log: (line: string) => void;
  readonly now: () => Date;
}

export interface FileSource extends CertificateSource {
  /**
   * Takes what is in the files now.
   *
   * @throws KitError `certificate-invalid` or `file-unreadable`: what was taken before goes on
   */
  reload(): Promise<void>;
  /**
   * Takes what is in the files if they have changed. Files that do not fit are looked at again at the next look, for
   * whoever writes them may not be done, and what is wrong is logged once. Never rejects.
   */
  look(): Promise<void>;
  statuses(): readonly CertificateStatus[];
}

/**
 * Reads the pair of a relay, which is made if it may be. To whom it is shown is derper's rule: a DNS name has to be asked
 * for to the letter, and with an IP address whoever comes is shown it.
 *
 * @throws KitError `certificate-invalid` or `file-unreadable`
 */
export async function openFiles({ config, certDir, log, now }: FileSourceOptions): Promise<FileSource> {
  const { hostname } = config;
  const paths = certificatePaths(certDir, hostname);
  const listeners: (() => void)[] = [];
  let seen = await stampOf(Object.values(paths));
  let pair = await loadCertificate(config, certDir, now(), log);
  /** What is wrong with the files, as it was logged. */
  let reported: string | undefined;

  const take = (next: CertificatePair): void => {
    reported = undefined;
    if (next.chain === pair.chain && next.key === pair.key) return;
    pair = next;
    log(`${paths.crt}: a new certificate is shown from now on, valid until ${endOf(next).toISOString()}`);
    for (const tell of listeners) tell();
  };
  const read = async (): Promise<void> => {
    // Before they are read: what is written from here on is a change that the next look sees.
    const stamp = await stampOf(Object.values(paths));
    take(await reloadCertificate(hostname, certDir, now()));
    seen = stamp;
  };
  const look = async (): Promise<void> => {
    if (reported === undefined && (await stampOf(Object.values(paths))) === seen) return;
    try {
      await read();
    } catch (error) {
      const fault = renderError(error);
      if (fault !== reported) log(`not taken, and the certificate that was shown before goes on: ${fault}`);
      reported = fault;
    }
  };
  const inTurn = createTurns();
  return {
    find: ({ servername }) => (isIP(hostname) !== 0 || servername === hostname ? pair : undefined),
    onChange: (tell) => void listeners.push(tell),
    challenges: undefined,
    reload: () =>
      inTurn(async () => {
        try {
          await read();
        } catch (error) {
          reported = renderError(error); // Whoever asked is told.
          throw error;
        }
      }),
    look: () => inTurn(look),
    statuses: () => [{ name: hostname, notAfter: endOf(pair).getTime(), renewal: undefined }],
  };
}

/**
 * What of files changes whenever they do, behind links as well: those that certbot exchanges, and the folder that
 * Kubernetes does. A network file system may tell of no change, which is why somebody has to look.
 */
async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = files.map(async (file) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
    } catch (error) {
      return isErrno(error) ? (error.code ?? "") : "";
    }
  });
  return (await Promise.all(stamps)).join("\n");
}

function endOf({ chain }: CertificatePair): Date {
  return new X509Certificate(chain).validToDate;
}

/** One after the other, so that an older reading never ends after a newer one. */
function createTurns(): (action: () => Promise<void>) => Promise<void> {
  let last = Promise.resolve();
  return (action) => {
    const turn = last.then(action);
    last = turn.catch(() => {});
    return turn;
  };
}
