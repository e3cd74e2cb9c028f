/** The parts of a relay that open nothing, made from its settings: what decides, remembers and counts. */
import { randomBytes } from "node:crypto";
import { Admission } from "./admission/admission.ts";
import { createGate } from "./admission/gate.ts";
import { createModes } from "./admission/modes.ts";
import { BootstrapDns } from "./bootstrap-dns/bootstrap-dns.ts";
import { createTrust } from "./client/transport.ts";
import type { MeshWith } from "./config/mesh.ts";
import { buildNetworks, contains, parseNetworkList } from "./config/networks.ts";
import { readQueueDepth } from "./config/queue-depth.ts";
import { RelayCore } from "./core/core.ts";
import { defaultQueueLimits, derperQueueLimits } from "./core/packet-queue.ts";
import type { Gate } from "./core/session-context.ts";
import { createTrace } from "./debug-log.ts";
import { normaliseIp } from "./ip-address.ts";
import { ConnectionCaps } from "./net/connection-caps.ts";
import { TlsCounters } from "./net/tls-counters.ts";
import { maxConnections, memoryLimit } from "./process-facts.ts";
import { createSelfProbes, type SelfProbes } from "./self-probes.ts";
import { milliseconds, type Settings } from "./settings.ts";
import { createStunCounters, type StunCounters } from "./stun/server.ts";

export interface PartsContext {
  readonly log: (line: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds between the rounds of the relay's probes of itself; 5 s by default. */
  readonly probeEveryMs?: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export interface Parts {
  readonly core: RelayCore;
  readonly admission: Admission;
  readonly selfProbes: SelfProbes;
  readonly caps: ConnectionCaps;
  readonly bootstrapDns: BootstrapDns;
  readonly tlsCounters: TlsCounters;
  readonly stunCounters: StunCounters;
  /** Where the region's other relays were found. */
  readonly meshAddresses: Map<MeshWith, string>;
}

/**
 * Memory for packets that wait: a quarter of what the process may use (repair Q18), and no more than bursts to clients
 * that do read come to. What clients hold that do not read would otherwise grow with the machine.
 */
const queuedShare = 1 / 4;
const maxQueuedBytes = 32 * 1_048_576;
/** What an idle connection takes on Node, about. */
const bytesPerConnection = 65_536;

/** @throws KitError for options or an environment that do not go together */
export function createParts(settings: Settings, context: PartsContext): Parts {
  const { admission, gate } = createAdmission(settings, context);
  const selfProbes = createSelfProbes(settings, { ...context, everyMs: context.probeEveryMs });
  const meshAddresses = new Map<MeshWith, string>();
  return {
    core: createCore(settings, gate, selfProbes.gate, context),
    admission,
    selfProbes,
    caps: createCaps(settings, meshAddresses),
    bootstrapDns: new BootstrapDns(Math.random),
    tlsCounters: new TlsCounters(),
    stunCounters: createStunCounters(),
    meshAddresses,
  };
}

/** Who may connect. Without any mode there is no gate, and whoever has a key comes in. */
function createAdmission(
  { config, resolve }: Settings,
  { env, log, now }: PartsContext,
): { readonly admission: Admission; readonly gate: Gate | undefined } {
  const staleMs = milliseconds(config.admissionStale);
  const recheckMs = milliseconds(config.admissionRecheck);
  const modes = createModes(config, { resolve, env, trust: createTrust, recheckMs, staleMs, now, log });
  const admission = new Admission({ modes, recheckMs, staleMs, now, random: Math.random, log });
  return { admission, gate: modes.length === 0 ? undefined : createGate(admission, now) };
}

function createCore(
  { config, privateKey, meshKeys, rateLimit }: Settings,
  gate: Gate | undefined,
  probeGate: Gate,
  { env, log, now }: PartsContext,
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
    maxQueuedBytes: Math.min(memoryLimit() * queuedShare, maxQueuedBytes),
    reportDuplicates: config.reportDuplicates,
    trace: createTrace({ env, log, now }),
    random: randomBytes,
    requestFlush: () => setImmediate(flush),
  });
  core.setRateLimit(rateLimit, now());
  return core;
}

/** Without TLS whoever connects is a proxy, behind which all clients look alike. */
function createCaps({ config, tls }: Settings, meshAddresses: ReadonlyMap<MeshWith, string>): ConnectionCaps {
  const { maxConnections: total, maxWaitingPerAddress: waitingPerSource, trustedProxies } = config;
  const proxies = buildNetworks(parseNetworkList(trustedProxies).cidrs);
  return new ConnectionCaps({
    total: total === 0 ? maxConnections(bytesPerConnection) : total,
    waitingPerSource: tls ? waitingPerSource : 0,
    exempt: (address) => {
      const source = normaliseIp(address) ?? "";
      return contains(proxies, source) || [...meshAddresses.values()].includes(source);
    },
  });
}
