/** Who looks after the certificates of a relay, by the option `certMode`. */
import { checkDirectory } from "../acme/client.ts";
import { readText } from "../config/files.ts";
import { createTrust } from "../client/transport.ts";
import type { RelayConfig } from "../config/schema.ts";
import { KitError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import type { AcmePlan } from "./acme-plan.ts";
import { createAcmeSource } from "./acme-source.ts";
import { systemClock } from "./clock.ts";
import { type FileSource, openFiles } from "./manual.ts";
import { openPinned } from "./pinned.ts";
import { resolveName } from "./self-check.ts";
import type { KeptSource } from "./source.ts";

/** How often the files are looked at. */
const lookEveryMs = 2_000;

export interface CertificatesContext {
  readonly config: Pick<RelayConfig, "certMode" | "hostname" | "acmeCa">;
  /** Folder of the certificates; absolute. */
  readonly certDir: string;
  /** Where certificates come from if an authority issues them. */
  readonly acme: AcmePlan | undefined;
  /** Makes a path of the configuration absolute. */
  readonly resolve: (path: string) => string;
  /** Names the proxy to authorities. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the relay. */
  readonly version: string;
  readonly log: (line: string) => void;
}

/**
 * Opens what the mode asks for; it looks after itself until it is disposed of.
 *
 * @throws KitError `certificate-invalid`, `file-unreadable` or `config-invalid`: there is nothing to show, and no way to it
 */
export async function openCertificates(context: CertificatesContext): Promise<KeptSource> {
  const { config, certDir, acme, log } = context;
  if (acme !== undefined) return openAcme(acme, context);
  const options = { config, certDir, log, now: () => new Date() };
  return keepLooking(await (config.certMode === "pinned" ? openPinned(options) : openFiles(options)));
}

async function openAcme(
  plan: AcmePlan,
  { config, certDir, resolve, env, version, log }: CertificatesContext,
): Promise<KeptSource> {
  for (const directory of [plan.directory, plan.staging])
    if (directory !== undefined) checkDirectory(directory);
  const extra = config.acmeCa === "" ? [] : [await readTrust(resolve(config.acmeCa))];
  return createAcmeSource({
    plan,
    certDir,
    agents: buildAgents({ env, trust: createTrust(extra) }),
    userAgent: `derpkit/${version}`,
    clock: systemClock,
    random: Math.random,
    resolve: resolveName,
    log,
  });
}

/** Node passes over what is no certificate; here it is a mistake. */
async function readTrust(file: string): Promise<string> {
  const text = await readText(file, "The certificates that the authority is trusted by cannot be read.");
  try {
    createTrust([text]);
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch {
    // OpenSSL's words would help nobody.
  }
  throw new KitError("certificate-invalid", {
    where: file,
    message: "There is no certificate in PEM in this file.",
  });
}

/** One look at a time: a network file system that stands still must not pile them up. */
function keepLooking(source: FileSource): KeptSource {
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  return {
    ...source,
    start() {
      timer = setInterval(() => {
        looking ??= source.look().finally(() => (looking = undefined));
      }, lookEveryMs).unref();
    },
    // A look that is under way only reads, and may take for ever.
    [Symbol.asyncDispose]: () => Promise.resolve(clearInterval(timer)),
  };
}
