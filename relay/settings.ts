/** What a relay reads before it listens: its configuration with everything that lies in files. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import { type CertificatePair, loadCertificate } from "./config/certificate-files.ts";
import { parseDuration } from "./config/duration.ts";
import { loadOrCreateKeyFile } from "./config/key-file-io.ts";
import { type ListenAddress, parseListenAddress } from "./config/listen-address.ts";
import { type MeshWith, parseMeshWith } from "./config/mesh.ts";
import { loadMeshKeys } from "./config/mesh-key-file.ts";
import { loadRateConfig } from "./config/rate-config-file.ts";
import type { RelayConfig } from "./config/schema.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import type { PrivateKey } from "./crypto/keys.ts";
import { KitError } from "./errors.ts";

export interface Settings {
  readonly config: RelayConfig;
  /** Makes a path of the configuration absolute. */
  readonly resolve: (path: string) => string;
  readonly listen: ListenAddress;
  readonly privateKey: PrivateKey;
  readonly certificate: CertificatePair;
  /** As text; the first is shown to others. */
  readonly meshKeys: readonly string[];
  readonly meshWith: readonly MeshWith[];
  /** Undefined for no limit. */
  readonly rateLimit: RateLimit | undefined;
}

/**
 * Reads everything; makes the key, and a certificate that is to be pinned, if they are missing.
 *
 * @param stateDirectory folder that relative paths start from
 * @throws KitError
 */
export async function readSettings(config: RelayConfig, stateDirectory: string): Promise<Settings> {
  const absolute = (path: string): string => resolve(stateDirectory, path);
  const listen = parseListenAddress(config.listen);
  if (listen === undefined) throw new TypeError("the schema lets no other listen address through");
  const privateKey = await loadOrCreateKeyFile(absolute(config.keyFile));
  const certificate = await loadCertificate(config, absolute(config.certDir), new Date());
  const meshKeys = await loadMeshKeys(config.meshPskFile && absolute(config.meshPskFile), homedir());
  const meshWith = parseMeshWith(config.meshWith) ?? [];
  if (meshWith.length > 0 && meshKeys.length === 0) throw lacksMeshKey();
  const rateLimit = await readRateLimit({ config, resolve: absolute });
  return { config, resolve: absolute, listen, privateKey, certificate, meshKeys, meshWith, rateLimit };
}

/**
 * Reads the rate limit, which may be read again while the relay runs.
 *
 * @throws KitError `rate-config-invalid` or `file-unreadable`
 */
export async function readRateLimit(
  settings: Pick<Settings, "config" | "resolve">,
): Promise<RateLimit | undefined> {
  const { rateConfig } = settings.config;
  return rateConfig === "" ? undefined : loadRateConfig(settings.resolve(rateConfig));
}

/** A duration of the configuration in milliseconds. */
export function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}

function lacksMeshKey(): KitError {
  return new KitError("config-invalid", {
    message: "The relay's configuration has mistakes.",
    problems: [
      { path: "meshWith (-mesh-with)", message: "needs a mesh key: give meshPskFile (-mesh-psk-file)" },
    ],
  });
}
