/** What a relay reads before it listens: its configuration with everything that lies in files. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { posix, resolve } from "node:path";
import process from "node:process";
import { type AcmePlan, planAcme } from "./certificates/acme-plan.ts";
import { createTrust } from "./client/transport.ts";
import { isBlank } from "./config/files.ts";
import { findModeFault, servesTls, usesAcme } from "./config/certificate-mode.ts";
import { parseDuration } from "./config/duration.ts";
import { loadOrCreateKeyFile } from "./config/key-file-io.ts";
import { type ListenAddress, parseListenAddress } from "./config/listen-address.ts";
import { invalidConfig, renderPath } from "./config/load.ts";
import { type MeshWith, parseMeshKeys, parseMeshWith } from "./config/mesh.ts";
import { findMeshKeyFile, loadMeshKeys } from "./config/mesh-key-file.ts";
import { loadRateConfig } from "./config/rate-config-file.ts";
import type { RelayConfig } from "./config/schema.ts";
import {
  type Surroundings,
  usualCertDir,
  usualKeyFile,
  usualMeshKeyFiles,
  usualSecretsCache,
} from "./config/usual-places.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import { generatePrivateKey, type PrivateKey } from "./crypto/keys.ts";
import { KitError } from "./errors.ts";
import { readSecret } from "./setec.ts";
import { readTokenDigest } from "./status/token.ts";

export interface Settings {
  readonly config: RelayConfig;
  /** Makes a path of the configuration absolute. */
  readonly resolve: (path: string) => string;
  readonly listen: ListenAddress;
  readonly privateKey: PrivateKey;
  /** False for plain HTTP: somebody else does TLS. */
  readonly tls: boolean;
  /** Where its certificates come from, if from an authority. */
  readonly acme: AcmePlan | undefined;
  /** Folder of the certificates; absolute. */
  readonly certDir: string;
  /** As text; the first is shown to others. */
  readonly meshKeys: readonly string[];
  readonly meshWith: readonly MeshWith[];
  /** Undefined for no limit. */
  readonly rateLimit: RateLimit | undefined;
  /** Idle milliseconds before TCP keepalive probes; 0 for none. */
  readonly keepaliveMs: number;
  /** Of the token that /derpkit/status is shown for; undefined if it is shown to nobody. */
  readonly statusToken: Buffer | undefined;
}

export interface SettingsContext {
  /** Folder that the relative paths of the configuration start from. */
  readonly stateDirectory: string;
  readonly env: Surroundings["env"];
  readonly log: (line: string) => void;
}

/** Where derper listens with `-dev`, and the variable that holds the mesh key then. */
const devListen = ":3340";
const devMeshKey = "TAILSCALE_DERPER_MESH_KEY";
/** What Go makes of `-tcp-keepalive-time=0`. */
const goKeepaliveMs = 15_000;

/**
 * Reads everything but certificates; makes the key if it is missing.
 *
 * @throws KitError
 */
export async function readSettings(config: RelayConfig, context: SettingsContext): Promise<Settings> {
  const { stateDirectory, env } = context;
  const absolute = (path: string): string => resolve(stateDirectory, path);
  const here: Surroundings = { env, platform: process.platform, uid: process.getuid?.() };
  const listen = await findAddress(config.dev ? devListen : config.listen);
  const certDir = config.certDir ?? usualCertDir(here) ?? "";
  const tls = servesTls(listen, config);
  const fault = tls ? findModeFault(config, certDir) : undefined;
  if (fault !== undefined) throw invalidConfig([fault]);
  const acme = tls && usesAcme(config.certMode) ? planCertificates(config, listen) : undefined;
  const privateKey = await readPrivateKey(config, absolute, here, context.log);
  const meshKeys = await readMeshKeys(config, absolute, here, context.log);
  const meshWith = parseMeshWith(config.meshWith) ?? [];
  if (meshWith.length > 0 && meshKeys.length === 0) {
    if (!config.awaitSecrets) throw lacksMeshKey();
    context.log("there is no mesh key yet: until there is, and the relay is started again, there is no mesh");
  }
  const rateLimit = await readRateLimit({ config, resolve: absolute });
  const statusToken = await readStatusToken({ config, resolve: absolute });
  const keepaliveMs = Math.max(0, milliseconds(config.tcpKeepaliveTime) || goKeepaliveMs);
  return {
    config: { ...config, hostname: findHostname(config, acme) },
    resolve: absolute,
    listen,
    privateKey,
    tls,
    acme,
    certDir: absolute(certDir),
    meshKeys,
    meshWith,
    rateLimit,
    keepaliveMs,
    statusToken,
  };
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

/**
 * Reads the status token, of which only the digest is kept; it may be read again while the relay runs.
 *
 * @throws KitError `config-invalid` for a file that cannot be read, or whose token is none or short; it does not show it
 */
export async function readStatusToken(
  settings: Pick<Settings, "config" | "resolve">,
): Promise<Buffer | undefined> {
  const { statusTokenFile, awaitSecrets } = settings.config;
  if (statusTokenFile === "") return undefined;
  if (awaitSecrets && (await isBlank(settings.resolve(statusTokenFile)))) return undefined;
  try {
    return await readTokenDigest(settings.resolve(statusTokenFile));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw invalidConfig([{ path: renderPath("statusTokenFile"), message }]);
  }
}

/** A duration of the configuration in milliseconds. */
export function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}

/** @throws KitError `config-invalid` if nothing says what the certificate would be for */
function planCertificates(config: RelayConfig, { host }: ListenAddress): AcmePlan {
  const present = Object.values(networkInterfaces()).flatMap((list = []) =>
    list.map(({ address }) => address),
  );
  const plan = planAcme(config, { bound: host, present });
  if (config.certMode !== "acme-ip" || plan.certificates.length > 0) return plan;
  const message = "has to be this machine's address: no public one was found, and -acme-ips names none";
  throw invalidConfig([{ path: renderPath("hostname"), message }]);
}

/** With `acme-ip` clients ask for the address that comes first. */
function findHostname({ certMode, hostname }: RelayConfig, acme: AcmePlan | undefined): string {
  const [planned] = acme?.certificates ?? [];
  return certMode === "acme-ip" && planned !== undefined ? planned.identifiers[0].value : hostname;
}

/** A name in the listen address becomes an address; as in Go, of IPv4 if it has one. */
async function findAddress(text: string): Promise<ListenAddress> {
  const listen = parseListenAddress(text);
  if (listen === undefined) throw new TypeError("the schema lets no other listen address through");
  const { host, port } = listen;
  if (host === undefined || isIP(host) !== 0) return listen;
  try {
    const { address } = await lookup(host, { order: "ipv4first" });
    return { host: address, port };
  } catch (cause) {
    throw new KitError("listen-failed", { message: `${host} has no address to listen on.`, cause });
  }
}

async function readPrivateKey(
  { dev, keyFile }: RelayConfig,
  absolute: Settings["resolve"],
  here: Surroundings,
  log: SettingsContext["log"],
): Promise<PrivateKey> {
  if (dev) return generatePrivateKey();
  if (keyFile !== undefined && keyFile !== "") return loadOrCreateKeyFile(absolute(keyFile));
  const usual = usualKeyFile(here);
  if (usual === undefined) {
    const message = "has to be given by who is not root, unless $STATE_DIRECTORY is set";
    throw invalidConfig([{ path: renderPath("keyFile"), message }]);
  }
  log(`no key file is given: using ${usual}`);
  return loadOrCreateKeyFile(usual);
}

/** derper's order: the environment with -dev, else the setec server if there is one, else a file. */
async function readMeshKeys(
  { dev, secretsUrl, secretsPathPrefix, secretsCacheDir, meshPskFile, awaitSecrets }: RelayConfig,
  absolute: Settings["resolve"],
  here: Surroundings,
  log: SettingsContext["log"],
): Promise<readonly string[]> {
  const { env } = here;
  if (dev) return parseMeshKeyText(env[devMeshKey] ?? "", devMeshKey);
  if (secretsUrl !== "") {
    const name = posix.join(secretsPathPrefix, "meshkey");
    const cache = absolute(secretsCacheDir ?? usualSecretsCache(here));
    const text = await readSecret({
      url: secretsUrl,
      name,
      cache,
      env,
      trust: createTrust(),
      now: unixTime,
      log,
    });
    return parseMeshKeyText(text, name);
  }
  const file = meshPskFile ?? (await findMeshKeyFile(usualMeshKeyFiles(here))) ?? "";
  if (file === "" || (awaitSecrets && (await isBlank(absolute(file))))) return [];
  return loadMeshKeys(absolute(file));
}

/** Seconds since 1970. */
function unixTime(): number {
  return Date.now() / 1_000;
}

/** @param where it comes from, for the message; the key is in none */
function parseMeshKeyText(text: string, where: string): readonly string[] {
  const keys = text === "" ? [] : parseMeshKeys(text);
  if (keys === undefined) throw new KitError("mesh-key-invalid", { where, message: "This is no mesh key." });
  return keys;
}

function lacksMeshKey(): KitError {
  return invalidConfig([
    {
      path: renderPath("meshWith"),
      message: "needs a mesh key: give meshPskFile (-mesh-psk-file) or secretsUrl (-secrets-url)",
    },
  ]);
}
