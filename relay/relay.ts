/** Puts a relay together: everything is acquired before anything listens, and stopped in reverse. */
import { setTimeout as sleep } from "node:timers/promises";
import { startRefreshing } from "./bootstrap-dns/refresh.ts";
import { createTrust } from "./client/transport.ts";
import { openCertificates } from "./certificates/modes.ts";
import type { CertificateSource, KeptSource, ListeningPorts } from "./certificates/source.ts";
import type { RelayConfig } from "./config/schema.ts";
import type { RelayCore } from "./core/core.ts";
import type { NodeKey } from "./crypto/keys.ts";
import { renderError } from "./errors.ts";
import { normaliseIp } from "./ip-address.ts";
import { startMeshClient } from "./mesh/mesh-client.ts";
import { createAcceptLimit } from "./net/accept-limit.ts";
import { type DerpServer, startDerpServer } from "./net/derp-server.ts";
import { type HttpPort, startHttpPort } from "./net/http-port.ts";
import type { ListenPlace } from "./net/listen.ts";
import type { TlsOptions } from "./net/main-listener.ts";
import type { RouteContext } from "./net/routes.ts";
import type { TlsCounters } from "./net/tls-counters.ts";
import { createParts, type Parts } from "./parts.ts";
import { createRoutes } from "./relay-routes.ts";
import { milliseconds, readRateLimit, readSettings, readStatusToken, type Settings } from "./settings.ts";
import { startStunServer, type StunServer } from "./stun/server.ts";
import type { PassedSockets, SocketName } from "./systemd/activation.ts";

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
  /** Sockets that somebody else has opened, to listen on in the place of own ones. The relay closes its descriptors. */
  readonly sockets?: PassedSockets;
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

/** So long a relay that stops waits for handshakes that were under way. */
const handshakeGraceMs = 1_000;

/** How often sessions are looked over for what time has made due. */
const tickMs = 250;

/**
 * Starts a relay.
 *
 * @throws KitError for a key, certificate or port that cannot be had; nothing is left open then
 */
export async function startRelay(config: RelayConfig, dependencies: RelayDependencies): Promise<Relay> {
  const settings = await readSettings(config, dependencies);
  const { log, sockets = {} } = dependencies;
  await using acquired = new AsyncDisposableStack();
  const certificates = acquired.use(await startCertificates(settings, dependencies));
  const parts = createParts(settings, { ...dependencies, now });
  const { core, admission, selfProbes } = parts;
  let { rateLimit, statusToken } = settings;
  let stopping = false;
  const routes = createRoutes(settings, parts, dependencies, {
    certificates,
    rateLimit: () => rateLimit,
    statusToken: () => statusToken,
    isStopping: () => stopping,
    now,
  });

  acquired.use(admission);
  acquired.use(startRefreshing({ config, bootstrapDns: parts.bootstrapDns, random: Math.random, log }));
  const stun = acquired.use(await startStun(settings, parts, certificates, dependencies));
  const http = acquired.use(await startRedirects(settings, parts, routes, sockets));
  const derp = acquired.use(await startMain(settings, parts, routes, certificates, sockets));
  for (const name of findUnused(settings, sockets))
    log(`the socket ${name} that is passed to the relay is not used: the options want none`);
  certificates?.start(challengePorts(derp, http));
  for (const client of startMesh(settings, parts, log)) acquired.use(client);
  const probing = acquired.use(selfProbes.start({ derp, certificates, stun, core }));
  const ticking = setInterval(() => {
    core.tick(now());
    admission.tick(now());
  }, tickMs);
  acquired.defer(() => {
    clearInterval(ticking);
    stopping = true;
  });
  const running = acquired.move();
  return {
    publicKey: core.publicKey,
    derpPort: derp.address.port,
    tls: settings.tls,
    httpPort: http?.address.port,
    stunPort: stun?.address.port,
    core,
    async reload() {
      admission.reload();
      await readAgain("admission and rate config", log, async () => {
        rateLimit = await readRateLimit(settings);
        core.setRateLimit(rateLimit, now());
      });
      if (statusToken !== undefined)
        await readAgain(
          "status token",
          log,
          async () => void (statusToken = await readStatusToken(settings)),
        );
      if (certificates !== undefined) await readAgain("certificate", log, () => certificates.reload());
    },
    async drain(cut) {
      stopping = true;
      await probing?.[Symbol.asyncDispose](); // What they would find now is the stop.
      derp.stopAccepting();
      const overMs = milliseconds(config.drain);
      const graceUntil = now() + Math.min(overMs, handshakeGraceMs);
      core.drain(overMs, now());
      // A connection that is taken and not yet a session is in its handshake, or somebody who looked at a page.
      while (!cut.aborted && (core.size > 0 || (derp.connections > 0 && now() < graceUntil)))
        await sleep(tickMs, undefined, { signal: cut }).catch(() => {});
    },
    get connections() {
      return derp.connections;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Undefined without TLS. */
async function startCertificates(
  settings: Settings,
  { env, version, log }: RelayDependencies,
): Promise<KeptSource | undefined> {
  return settings.tls ? openCertificates({ ...settings, env, version, log }) : undefined;
}

/** An authority asks at 443 and 80; who listens elsewhere has a router before it, or an authority that knows. */
function challengePorts(derp: DerpServer, http: HttpPort | undefined): ListeningPorts {
  return {
    "tls-alpn-01": [...new Set([443, derp.address.port])],
    "http-01": [...new Set([80, http?.address.port ?? 80])],
  };
}

async function startStun(
  { config, listen }: Settings,
  { stunCounters, selfProbes }: Parts,
  certificates: KeptSource | undefined,
  { log, sockets }: RelayDependencies,
): Promise<StunServer | undefined> {
  if (!config.stun) return undefined;
  const isBare = watchForNone(certificates);
  return startStunServer({
    host: listen.host,
    port: config.stunPort,
    passed: sockets?.stun,
    counters: stunCounters,
    isSilent: () => selfProbes.isSilent() || (config.selfProbe && isBare()),
    isOwnProbe: selfProbes.isOwnDatagram,
    log,
  });
}

/** Whether there is no certificate yet: clients who find a relay by STUN and cannot talk to it lose their home. */
function watchForNone(certificates: KeptSource | undefined): () => boolean {
  const look = (): boolean => {
    const statuses = certificates?.statuses() ?? [];
    return statuses.length > 0 && statuses.every(({ notAfter }) => notAfter === undefined);
  };
  let isBare = look();
  certificates?.onChange(() => (isBare = look()));
  return () => isBare;
}

/** Plain HTTP beside TLS. */
async function startRedirects(
  { config, listen, tls }: Settings,
  { caps }: Parts,
  routes: RouteContext,
  sockets: PassedSockets,
): Promise<HttpPort | undefined> {
  if (!wantsRedirects({ config, tls })) return undefined;
  return startHttpPort(placeOf(sockets.http, { host: listen.host, port: config.httpPort }), routes, caps);
}

function wantsRedirects({ config, tls }: Pick<Settings, "config" | "tls">): boolean {
  return tls && config.httpPort >= 0;
}

async function startMain(
  settings: Settings,
  parts: Parts,
  routes: RouteContext,
  certificates: CertificateSource | undefined,
  sockets: PassedSockets,
): Promise<DerpServer> {
  const { listen, keepaliveMs } = settings;
  const { core, caps, selfProbes, tlsCounters } = parts;
  return startDerpServer({
    ...routes,
    core,
    listen: placeOf(sockets.derp, listen),
    tls: certificates && createTls(settings, certificates, tlsCounters),
    isOwnProbe: selfProbes.isOwnConnection,
    caps,
    keepaliveMs,
    now,
  });
}

function placeOf(passed: number | undefined, own: ListenPlace): ListenPlace {
  return passed === undefined ? own : { fd: passed };
}

/** Passed sockets that nobody reads: whoever comes to one would wait for nothing, which the operator has to know. */
function findUnused({ config, tls }: Settings, sockets: PassedSockets): string[] {
  const isUsed: Readonly<Record<SocketName, boolean>> = {
    derp: true,
    stun: config.stun,
    http: wantsRedirects({ config, tls }),
  };
  return (Object.keys(sockets) as SocketName[]).filter((name) => !isUsed[name]);
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

function createTls({ config }: Settings, source: CertificateSource, counters: TlsCounters): TlsOptions {
  const { acceptConnectionLimit: perSecond, acceptConnectionBurst: burst } = config;
  return { source, accepts: createAcceptLimit({ perSecond, burst }, counters, now), counters };
}

/** Connects to the region's other relays. */
function startMesh(
  { meshWith, meshKeys, privateKey }: Settings,
  { core, meshAddresses }: Parts,
  log: RelayDependencies["log"],
): AsyncDisposable[] {
  const [meshKey] = meshKeys;
  if (meshKey === undefined || meshWith.length === 0) return [];
  const trust = createTrust();
  return meshWith.map((place) => {
    const { host, dialHost, port, certName } = place;
    const peer = { identity: { hostName: host, certName }, dialHost, port };
    const found = (address: string): void => void meshAddresses.set(place, normaliseIp(address) ?? address);
    return startMeshClient({ core, peer, privateKey, meshKey, trust, found, log, now });
  });
}

/** Milliseconds on a clock that never goes back. */
function now(): number {
  return performance.now();
}
