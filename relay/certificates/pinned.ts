/** Self-signed certificates that clients pin: the one of the host name, and for a day those of host names before it. */
import { isIP } from "node:net";
import { dirname, join } from "node:path";
import { type CertificatePair, loadCertificate } from "../config/certificate-files.ts";
import { makeFolder, readIfThere, writeWhole } from "../config/files.ts";
import { KitError, renderError } from "../errors.ts";
import { type FileSource, type FileSourceOptions, openFiles } from "./manual.ts";
import {
  parsePinnedMemory,
  type PinnedMemory,
  renderPinnedMemory,
  type RetiredName,
  rotate,
} from "./pinned-memory.ts";

/** A former host name with what it was shown by. */
interface Retired extends RetiredName {
  readonly pair: CertificatePair;
}

/**
 * Opens the pair of the host name, which is made if there is none, and those of host names that the relay has served until a
 * day ago. It remembers them in `derpkit/pinned.json` in the certificate folder; a memory that cannot be read or written is
 * logged, and keeps no relay from its current name.
 *
 * @throws KitError `certificate-invalid` or `file-unreadable` for the current pair
 */
export async function openPinned(options: FileSourceOptions): Promise<FileSource> {
  const { config, certDir, log, now } = options;
  const current = await openFiles(options);
  const file = join(certDir, "derpkit", "pinned.json");
  const before = await recall(file, log);
  const memory = rotate(before, config.hostname, now());
  for (const line of describeChange(before.served, config.hostname)) log(line);
  await remember(file, before, memory, log);
  const retired = await openRetired(memory.retired, options);
  return {
    ...current,
    find(asked) {
      const former = retired.find(({ hostname }) => hostname === asked.servername);
      return former !== undefined && former.until > now() ? former.pair : current.find(asked);
    },
  };
}

/** Whether names were served before is not known if the file is broken: those clients learn of the new map by and by. */
async function recall(file: string, log: FileSourceOptions["log"]): Promise<PinnedMemory> {
  const nothing: PinnedMemory = { served: undefined, retired: [] };
  try {
    const text = await readIfThere(file);
    if (text === undefined) return nothing;
    const memory = parsePinnedMemory(text);
    if (memory === undefined)
      log(
        `${file}: cannot be made sense of, and begins anew: a host name from before is not served any more`,
      );
    return memory ?? nothing;
  } catch (error) {
    log(`a host name from before is not served any more: ${renderError(error)}`);
    return nothing;
  }
}

async function remember(
  file: string,
  before: PinnedMemory,
  memory: PinnedMemory,
  log: FileSourceOptions["log"],
): Promise<void> {
  const text = renderPinnedMemory(memory);
  if (text === renderPinnedMemory(before)) return;
  try {
    await makeFolder(dirname(file), 0o700);
    await writeWhole(file, text, 0o600);
  } catch (cause) {
    const message = "The host name that is served cannot be remembered: its next change will be a cut.";
    log(renderError(new KitError("file-unreadable", { where: file, message, cause })));
  }
}

/** Clients send no IP address in TLS, so the relay cannot tell who has which map. */
function describeChange(former: string | undefined, hostname: string): string[] {
  if (former === undefined || former === hostname) return [];
  const rule = "an IP address as HostName cannot rotate without a cut, as clients send none in TLS";
  if (isIP(former) !== 0)
    return [
      `${former} is served no more: ${rule}; clients with the old map are refused until they get the new one`,
    ];
  return isIP(hostname) === 0 ? [] : [`the host name is ${hostname} from now on: ${rule}`];
}

async function openRetired(
  names: readonly RetiredName[],
  { certDir, log, now }: FileSourceOptions,
): Promise<Retired[]> {
  const opened = names.map(async ({ hostname, until }): Promise<Retired[]> => {
    try {
      const pair = await loadCertificate({ certMode: "manual", hostname }, certDir, now(), log);
      log(
        `${hostname} is served as well, until ${until.toISOString()}: clients may have the old map as long`,
      );
      return [{ hostname, until, pair }];
    } catch (error) {
      log(`${hostname} is served no more, though clients may have the old map: ${renderError(error)}`);
      return [];
    }
  });
  return (await Promise.all(opened)).flat();
}
