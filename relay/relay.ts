/** Puts a relay together: everything is acquired before anything listens, and stopped in reverse. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { resolve } from "node:path";
import { Admission } from "./admission/admission.ts";
import { createGate } from "./admission/gate.ts";
import { createModes } from "./admission/modes.ts";
import { createTrust } from "./client/transport.ts";
import { loadCertificate } from "./config/certificate-files.ts";
import { parseDuration } from "./config/duration.ts";
import { loadOrCreateKeyFile } from "./config/key-file-io.ts";
import { parseListenAddress } from "./config/listen-address.ts";
import { parseMeshWith } from "./config/mesh.ts";
import { loadMeshKeys } from "./config/mesh-key-file.ts";
import { loadRateConfig } from "./config/rate-config-file.ts";
import type { RelayConfig } from "./config/schema.ts";
import { RelayCore } from "./core/core.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import { TokenBucket } from "./core/token-bucket.ts";
import type { NodeKey } from "./crypto/keys.ts";
import { KitError, renderError } from "./errors.ts";
import { startMeshClient } from "./mesh/mesh-client.ts";
import { type DerpServer, startDerpServer } from "./net/derp-server.ts";
import { buildDebugAccess, type DebugAccess } from "./net/debug-access.ts";
import type { DebugContext } from "./net/debug-pages.ts";
import { type HttpPort, startHttpPort } from "./net/http-port.ts";
import type { Health } from "./net/http-answers.ts";
import { TlsCounters } from "./net/tls-counters.ts";
import { readProcessFacts } from "./process-facts.ts";
import { createStunCounters, startStunServer, type StunServer } from "./stun/server.ts";
import { findInconsistencies } from "./telemetry/consistency.ts";
import { coreSources } from "./telemetry/core-sources.ts";
import { renderVars } from "./telemetry/expvar.ts";
import { renderPrometheus } from "./telemetry/prometheus.ts";
import type { MetricSources, RateLimitCounts } from "./telemetry/sources.ts";

export interface RelayDependencies {
  /** Folder that relative paths of the config start from. */
  readonly stateDirectory: string;
  readonly version: string;
  /** SHA-256 of the running bundle; null when the sources run as they are. */
  readonly bundle: string | null;
  readonly log: (line: string) => void;
  /** The environment, which derper too takes who may look at the debug pages from. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Relay extends AsyncDisposable {
  readonly publicKey: NodeKey;
  readonly derpPort: number;
  /** Of plain HTTP; undefined if that is off. */
  readonly httpPort: number | undefined;
  /** Undefined if STUN is off. */
  readonly stunPort: number | undefined;
  readonly core: RelayCore;
  /** Reads again what may change while the relay runs. A mistake is logged, and what held before goes on. */
  reload(): Promise<void>;
  /** TCP connections that are open, whatever they have come to. */
  readonly connections: number;
}

/** How often sessions are looked over for what time has made due. */
const tickMs = 250;

/**
 * Starts a relay.
 *
 * @throws KitError for a key, certificate or port that cannot be had; nothing is left open then
 */
export async function startRelay(config: RelayConfig, dependencies: RelayDependencies): Promise<Relay> {
  const { stateDirectory, version, bundle, log, env } = dependencies;
  const listen = parseListenAddress(config.listen);
  if (listen === undefined) throw new TypeError("the schema lets no other listen address through");
  const access = readDebugAccess(env, config.strictDerperDebug);
  const privateKey = await loadOrCreateKeyFile(resolve(stateDirectory, config.keyFile));
  const certificate = await loadCertificate(config, resolve(stateDirectory, config.certDir), new Date());
  const meshKeys = await loadMeshKeys(
    config.meshPskFile && resolve(stateDirectory, config.meshPskFile),
    homedir(),
  );
  const [meshKey] = meshKeys;
  const meshWith = parseMeshWith(config.meshWith) ?? [];
  if (meshWith.length > 0 && meshKey === undefined) {
    throw new KitError("config-invalid", {
      message: "The relay's configuration has mistakes.",
      problems: [
        { path: "meshWith (-mesh-with)", message: "needs a mesh key: give meshPskFile (-mesh-psk-file)" },
      ],
    });
  }

  const flush = (): void => core.flush(now());
  const staleMs = milliseconds(config.admissionStale);
  const modes = createModes(config, {
    resolve: (path) => resolve(stateDirectory, path),
    env,
    staleMs,
    now,
    log,
  });
  const admission = new Admission({
    modes,
    recheckMs: milliseconds(config.admissionRecheck),
    staleMs,
    now,
    random: Math.random,
    log,
  });
  const core = new RelayCore({
    privateKey,
    gate: modes.length === 0 ? undefined : createGate(admission, now),
    meshKeys: meshKeys.map((key) => Buffer.from(key, "hex")),
    limits: {
      writeMs: milliseconds(config.tcpWriteTimeout),
      silentMs: milliseconds(config.tcpUserTimeout),
    },
    random: randomBytes,
    requestFlush: () => setImmediate(flush),
  });
  const stunCounters = createStunCounters();
  const tls = new TlsCounters();
  let rateLimit: RateLimit | undefined;
  const sources = (): MetricSources => ({
    ...coreSources(core),
    tls,
    stun: stunCounters,
    bootstrapDns: undefined,
    rateLimit: config.rateConfig === "" ? undefined : rateSources(rateLimit, core),
    facts: readProcessFacts(version),
  });
  const debug: DebugContext = {
    access,
    hostname: config.hostname,
    machine: hostname(),
    version,
    dev: false,
    meshKey: meshKey !== undefined,
    uptimeSeconds: () => now() / 1_000,
    vars: () => renderVars(sources()),
    varz: () => renderPrometheus(sources()),
    check: () =>
      findInconsistencies({
        connections: core.counters.connections,
        registered: core.router.countConnections(),
      }),
  };
  let state: Health["state"] = "serving";
  await using acquired = new AsyncDisposableStack();
  acquired.use(admission);
  let stun: StunServer | undefined;
  if (config.stun) {
    stun = acquired.use(
      await startStunServer({
        host: listen.host,
        port: config.stunPort,
        counters: stunCounters,
        log,
      }),
    );
  }
  let http: HttpPort | undefined;
  if (config.httpPort !== -1) {
    http = acquired.use(await startHttpPort({ host: listen.host, port: config.httpPort }, debug));
  }
  const derp: DerpServer = acquired.use(
    await startDerpServer({
      core,
      listen,
      hostname: config.hostname,
      certificate,
      answers: {
        home: config.home,
        derp: config.derp,
        health: () => ({ ok: state === "serving", version, bundle, state }),
      },
      accepts: createAcceptLimit(config, tls),
      debug,
      tls,
      keepaliveMs: milliseconds(config.tcpKeepaliveTime),
      now,
    }),
  );
  if (meshKey !== undefined && meshWith.length > 0) {
    const trust = createTrust();
    for (const { host, dialHost, port, certName } of meshWith) {
      const peer = { identity: { hostName: host, certName }, dialHost, port };
      acquired.use(startMeshClient({ core, peer, privateKey, meshKey, trust, log, now }));
    }
  }
  const rateConfig = config.rateConfig && resolve(stateDirectory, config.rateConfig);
  const readRateConfig = async (): Promise<void> => {
    rateLimit = await loadRateConfig(rateConfig);
    core.setRateLimit(rateLimit, now());
  };
  if (rateConfig !== "") await readRateConfig();
  const ticking = setInterval(() => {
    core.tick(now());
    admission.tick(now());
  }, tickMs);
  acquired.defer(() => clearInterval(ticking));
  acquired.defer(() => {
    state = "stopping";
  });
  const running = acquired.move();
  return {
    publicKey: core.publicKey,
    derpPort: derp.address.port,
    httpPort: http?.address.port,
    stunPort: stun?.address.port,
    core,
    async reload() {
      admission.reload();
      if (rateConfig === "") return;
      try {
        await readRateConfig();
        log("the rate config has been read again");
      } catch (error) {
        log(renderError(error));
      }
    },
    get connections() {
      return derp.connections;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function rateSources(limit: RateLimit | undefined, { counters }: RelayCore): RateLimitCounts {
  const { bytesPerSecond, burst } = limit ?? { bytesPerSecond: 0, burst: 0 };
  return { bytesPerSecond, burstBytes: burst, waited: counters.rateLimitWaited };
}

/** Takes connections at the configured rate, and counts them. */
function createAcceptLimit(
  { acceptConnectionLimit, acceptConnectionBurst }: RelayConfig,
  counters: TlsCounters,
): () => boolean {
  const unlimited = acceptConnectionLimit === undefined || acceptConnectionBurst === undefined;
  const bucket = unlimited ? undefined : new TokenBucket(acceptConnectionLimit, acceptConnectionBurst, now());
  return () => {
    const accepted = bucket?.take(now()) ?? true;
    if (accepted) counters.accepted++;
    else counters.rejected++;
    return accepted;
  };
}

/** Who may look at the debug pages, by derper's environment variables. */
function readDebugAccess(env: RelayDependencies["env"], strictDerper: boolean): DebugAccess {
  const keyPath = env["TS_DEBUG_KEY_PATH"] ?? "";
  return buildDebugAccess({
    allowIp: env["TS_ALLOW_DEBUG_IP"] ?? "",
    trustedCidrs: env["TS_DEBUG_TRUSTED_CIDRS"] ?? "",
    readKey: () => (keyPath === "" ? undefined : readKeyFile(keyPath)),
    strictDerper,
  });
}

/** As derper: a key that cannot be read lets nobody in, and is read again at the next try. */
function readKeyFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Milliseconds on a clock that never goes back. */
function now(): number {
  return performance.now();
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}
