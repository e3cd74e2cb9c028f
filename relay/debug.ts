/** What the debug pages show of this relay, and to whom. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Admission } from "./admission/admission.ts";
import type { BootstrapDnsCounters } from "./bootstrap-dns/bootstrap-dns.ts";
import { type CertificateStatus, countCertificates, renderCertificates } from "./certificates/report.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import type { RelayCore } from "./core/core.ts";
import type { ConnectionCaps } from "./net/connection-caps.ts";
import { buildDebugAccess, type DebugAccess } from "./net/debug-access.ts";
import type { DebugContext } from "./net/debug-pages.ts";
import type { TlsCounters } from "./net/tls-counters.ts";
import { readProcessFacts } from "./process-facts.ts";
import type { Settings } from "./settings.ts";
import { countUpdater, type UpdaterStatus } from "./status/updater-status.ts";
import type { StunCounters } from "./stun/server.ts";
import { findInconsistencies } from "./telemetry/consistency.ts";
import { coreSources } from "./telemetry/core-sources.ts";
import { renderVars } from "./telemetry/expvar.ts";
import { renderPrometheus } from "./telemetry/prometheus.ts";
import type { HealthCounts, MetricSources, RateLimitCounts } from "./telemetry/sources.ts";

export interface Observed {
  readonly core: RelayCore;
  /** Undefined for plain HTTP. */
  readonly tls: TlsCounters | undefined;
  readonly stun: StunCounters;
  readonly health: HealthCounts;
  readonly certificates: () => readonly CertificateStatus[];
  /** What the node's updater says; undefined if nothing. */
  readonly updater: () => UpdaterStatus | undefined;
  readonly bootstrapDns: BootstrapDnsCounters;
  readonly admission: Admission;
  readonly caps: ConnectionCaps;
  /** The limit that holds now. */
  readonly rateLimit: () => RateLimit | undefined;
  readonly version: string;
  /** The environment: derper takes from there who may look. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

export function createDebugContext({ config, meshKeys }: Settings, observed: Observed): DebugContext {
  const {
    core,
    tls,
    stun,
    health,
    certificates,
    updater,
    bootstrapDns,
    admission,
    caps,
    rateLimit,
    version,
    env,
    now,
  } = observed;
  const sources = (): MetricSources => ({
    ...coreSources(core),
    refused: { ...caps.refused, key: core.counters.refusedByKey },
    tls,
    stun,
    bootstrapDns,
    rateLimit: config.rateConfig === "" ? undefined : rateSources(rateLimit(), core),
    admission: admission.isOpen ? undefined : admission.counters,
    health: config.selfProbe ? health : undefined,
    certificates: countCertificates(certificates(), Date.now()),
    updater: countUpdater(updater(), Date.now()),
    facts: readProcessFacts(version),
  });
  return {
    access: readDebugAccess(env, config.strictDerperDebug),
    hostname: config.hostname,
    machine: hostname(),
    version,
    dev: config.dev,
    meshKey: meshKeys.length > 0,
    uptimeSeconds: () => now() / 1_000,
    vars: () => renderVars(sources()),
    varz: () => renderPrometheus(sources()),
    certificates: () => renderCertificates(certificates()),
    check: async () => {
      const connections = core.counters.connections;
      const registered = core.router.countConnections();
      return [...findInconsistencies({ connections, registered }), ...(await admission.findProblems())];
    },
  };
}

function rateSources(limit: RateLimit | undefined, { counters }: RelayCore): RateLimitCounts {
  const { bytesPerSecond, burst } = limit ?? { bytesPerSecond: 0, burst: 0 };
  return { bytesPerSecond, burstBytes: burst, waited: counters.rateLimitWaited };
}

/** Who may look at the debug pages, by derper's environment variables. */
function readDebugAccess(env: Observed["env"], strictDerper: boolean): DebugAccess {
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
