/** Puts a relay together: everything is acquired before anything listens, and stopped in reverse. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Admission } from "./admission/admission.ts";
import { createGate } from "./admission/gate.ts";
import { createModes } from "./admission/modes.ts";
import { BootstrapDns } from "./bootstrap-dns/bootstrap-dns.ts";
import { startRefreshing } from "./bootstrap-dns/refresh.ts";
import { createTrust } from "./client/transport.ts";
import { type CertificatePair, reloadCertificate } from "./config/certificate-files.ts";
import type { MeshWith } from "./config/mesh.ts";
import { readQueueDepth } from "./config/queue-depth.ts";
import type { RelayConfig } from "./config/schema.ts";
import { RelayCore } from "./core/core.ts";
import { defaultQueueLimits, derperQueueLimits } from "./core/packet-queue.ts";
import type { Gate } from "./core/session-context.ts";
import type { NodeKey } from "./crypto/keys.ts";
import { createDebugContext } from "./debug.ts";
import { createTrace } from "./debug-log.ts";
import { renderError } from "./errors.ts";
import { normaliseIp } from "./ip-address.ts";
import { startMeshClient } from "./mesh/mesh-client.ts";
import { createAcceptLimit } from "./net/accept-limit.ts";
import { ConnectionCaps } from "./net/connection-caps.ts";
import { startDerpServer } from "./net/derp-server.ts";
import { startHttpPort } from "./net/http-port.ts";
import type { TlsOptions } from "./net/main-listener.ts";
import { TlsCounters } from "./net/tls-counters.ts";
import { buildNetworks, contains, parseNetworkList } from "./config/networks.ts";
import { maxConnections, memoryLimit } from "./process-facts.ts";
import { createSelfProbes } from "./self-probes.ts";
import { milliseconds, readRateLimit, readSettings, type Settings } from "./settings.ts";
import { createStunCounters, startStunServer } from "./stun/server.ts";

export interface RelayDependencies {
  /** Folder that relative paths of the config start from. */
  readonly stateDirectory: string;
  readonly version: string;
  /** SHA-256 of the running bundle; null when the sources run as they are. */
  readonly bundle: string | null;
  readonly log: (line: string) => void;
  /** The environment, which derper too takes who may look at the debug pages from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds between the rounds of the relay's probes of itself; 5 s by default. */
  readonly probeEveryMs?: number;
}

export interface Relay extends AsyncDisposable {
  readonly publicKey: NodeKey;
  readonly derpPort: number;
  /** True if the main listener does TLS. */
  readonly tls: boolean;
  /** Of plain HTTP beside TLS; undefined if there is none. */
  readonly httpPort: number | undefined;
  /** Undefined if STUN is off. */
  readonly stunPort: number | undefined;
  readonly core: RelayCore;
  /** Reads again what may change while the relay runs. A mistake is logged, and what held before goes on. */
  reload(): Promise<void>;
  /**
   * Takes no new clients, tells those that are here, and lets them go one after the other.
   *
   * @param cut aborted to have done with it at once
   */
  drain(cut: AbortSignal): Promise<void>;
  /** TCP connections that are open, whatever they have come to. */
  readonly connections: number;
}

/** Of the memory that the process may use, for packets that wait (repair Q18). */
const queuedShare = 1 / 4;
/** What an idle connection takes on Node, about. */
const bytesPerConnection = 65_536;
/** How often sessions are looked over for what time has made due. */
const tickMs = 250;

/**
 * Starts a relay.
 *
 * @throws KitError for a key, certificate or port that cannot be had; nothing is left open then
 */
export async function startRelay(config: RelayConfig, dependencies: RelayDependencies): Promise<Relay> {
  const settings = await readSettings(config, dependencies);
  const { listen, certificate } = settings;
  const { version, bundle, log, env } = dependencies;
  const admission = createAdmission(settings, dependencies);
  const selfProbes = createSelfProbes(settings, { log, now, everyMs: dependencies.probeEveryMs });
  const core = createCore(settings, admission.gate, selfProbes.gate, dependencies);
  const meshAddresses = new Map<MeshWith, string>();
  const caps = createCaps(settings, meshAddresses);
  const [tlsCounters, stunCounters] = [new TlsCounters(), createStunCounters()];
  const bootstrapDns = new BootstrapDns(Math.random);
  const counted = {
    core,
    tls: certificate && tlsCounters,
    stun: stunCounters,
    bootstrapDns: bootstrapDns.counters,
  };
  let { rateLimit } = settings;
  const observed = {
    ...counted,
    caps,
    admission: admission.admission,
    health: selfProbes.health,
    rateLimit: () => rateLimit,
    version,
    env,
    now,
  };
  const debug = createDebugContext(settings, observed);
  let stopping = false;

  await using acquired = new AsyncDisposableStack();
  acquired.use(admission.admission);
  acquired.use(startRefreshing({ config, bootstrapDns, random: Math.random, log }));
  const stun = config.stun
    ? await startStunServer({
        host: listen.host,
        port: config.stunPort,
        counters: stunCounters,
        isSilent: selfProbes.isSilent,
        isOwnProbe: selfProbes.isOwnDatagram,
        log,
      })
    : undefined;
  acquired.use(stun);
  const plainAddress = { host: listen.host, port: config.httpPort };
  const { home, derp: servesDerp } = config;
  const routes = {
    secure: certificate !== undefined,
    ace: config.ace,
    answers: {
      hostName: config.hostname,
      home,
      derp: servesDerp,
      health: () => selfProbes.describe({ version, bundle }, stopping),
      bootstrapDns: (question: string, asker: string) => bootstrapDns.answer(question, asker),
    },
    debug,
  };
  const redirects = certificate !== undefined && config.httpPort >= 0;
  const http = redirects ? await startHttpPort(plainAddress, routes, caps) : undefined;
  acquired.use(http);
  const derp = await startDerpServer({
    core,
    listen,
    tls: certificate && createTls(settings, certificate, tlsCounters),
    ...routes,
    isOwnProbe: selfProbes.isOwnConnection,
    caps,
    keepaliveMs: settings.keepaliveMs,
    now,
  });
  acquired.use(derp);
  for (const client of startMesh(settings, core, log, meshAddresses)) acquired.use(client);
  const probing = acquired.use(selfProbes.start(derp, stun, core));
  const ticking = setInterval(() => {
    core.tick(now());
    admission.admission.tick(now());
  }, tickMs);
  acquired.defer(() => {
    clearInterval(ticking);
    stopping = true;
  });
  const running = acquired.move();
  return {
    publicKey: core.publicKey,
    derpPort: derp.address.port,
    tls: certificate !== undefined,
    httpPort: http?.address.port,
    stunPort: stun?.address.port,
    core,
    async reload() {
      admission.admission.reload();
      await readAgain("admission and rate config", log, async () => {
        rateLimit = await readRateLimit(settings);
        core.setRateLimit(rateLimit, now());
      });
      if (certificate === undefined) return;
      await readAgain("certificate", log, async () => {
        derp.useCertificate(await reloadCertificate(config.hostname, settings.certDir, new Date()));
      });
    },
    async drain(cut) {
      stopping = true;
      await probing?.[Symbol.asyncDispose](); // What they would find now is the stop.
      derp.stopAccepting();
      core.drain(milliseconds(config.drain), now());
      while (core.size > 0 && !cut.aborted) await sleep(tickMs, undefined, { signal: cut }).catch(() => {});
    },
    get connections() {
      return derp.connections;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Each thing for itself: a mistake in one does not keep the others from being read. */
async function readAgain(
  what: string,
  log: RelayDependencies["log"],
  read: () => Promise<void>,
): Promise<void> {
  try {
    await read();
    log(`read again: ${what}`);
  } catch (error) {
    log(`not read again, and what held before goes on: ${what}\n${renderError(error)}`);
  }
}

/** Who may connect. Without any mode there is no gate, and whoever has a key comes in. */
function createAdmission(
  { config, resolve }: Settings,
  { env, log }: RelayDependencies,
): { readonly admission: Admission; readonly gate: Gate | undefined } {
  const staleMs = milliseconds(config.admissionStale);
  const recheckMs = milliseconds(config.admissionRecheck);
  const context = { resolve, env, trust: createTrust, recheckMs, staleMs, now, log };
  const modes = createModes(config, context);
  const admission = new Admission({ modes, recheckMs, staleMs, now, random: Math.random, log });
  return { admission, gate: modes.length === 0 ? undefined : createGate(admission, now) };
}

function createCore(
  { config, privateKey, meshKeys, rateLimit }: Settings,
  gate: Gate | undefined,
  probeGate: Gate,
  { env, log }: RelayDependencies,
): RelayCore {
  const depth = readQueueDepth(env);
  const flush = (): void => core.flush(now());
  const core = new RelayCore({
    privateKey,
    gate,
    probeGate,
    meshKeys: meshKeys.map((key) => Buffer.from(key, "hex")),
    limits: {
      writeMs: milliseconds(config.tcpWriteTimeout),
      silentMs: milliseconds(config.tcpUserTimeout),
      perKey: config.maxConnectionsPerKey,
      queue: depth === undefined ? defaultQueueLimits : derperQueueLimits(depth),
    },
    maxQueuedBytes: memoryLimit() * queuedShare,
    reportDuplicates: config.reportDuplicates,
    trace: createTrace({ env, log, now }),
    random: randomBytes,
    requestFlush: () => setImmediate(flush),
  });
  core.setRateLimit(rateLimit, now());
  return core;
}

function createTls({ config }: Settings, certificate: CertificatePair, counters: TlsCounters): TlsOptions {
  const { hostname, acceptConnectionLimit: perSecond, acceptConnectionBurst: burst } = config;
  return { hostname, certificate, accepts: createAcceptLimit({ perSecond, burst }, counters, now), counters };
}

/** Without TLS whoever connects is a proxy, behind which all clients look alike. */
function createCaps(
  { config, certificate }: Settings,
  meshAddresses: ReadonlyMap<MeshWith, string>,
): ConnectionCaps {
  const { maxConnections: total, maxWaitingPerAddress: waitingPerSource, trustedProxies } = config;
  const proxies = buildNetworks(parseNetworkList(trustedProxies).cidrs);
  return new ConnectionCaps({
    total: total === 0 ? maxConnections(bytesPerConnection) : total,
    waitingPerSource: certificate === undefined ? 0 : waitingPerSource,
    exempt: (address) => {
      const source = normaliseIp(address) ?? "";
      return contains(proxies, source) || [...meshAddresses.values()].includes(source);
    },
  });
}

/**
 * Connects to the region's other relays.
 *
 * @param addresses is told where each of them is
 */
function startMesh(
  { meshWith, meshKeys, privateKey }: Settings,
  core: RelayCore,
  log: (line: string) => void,
  addresses: Map<MeshWith, string>,
): AsyncDisposable[] {
  const [meshKey] = meshKeys;
  if (meshKey === undefined || meshWith.length === 0) return [];
  const trust = createTrust();
  return meshWith.map((place) => {
    const { host, dialHost, port, certName } = place;
    const peer = { identity: { hostName: host, certName }, dialHost, port };
    const found = (address: string): void => void addresses.set(place, normaliseIp(address) ?? address);
    return startMeshClient({ core, peer, privateKey, meshKey, trust, found, log, now });
  });
}

/** Milliseconds on a clock that never goes back. */
function now(): number {
  return performance.now();
}
