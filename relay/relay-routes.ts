/** What the listeners answer, put together from what every part says of itself. */
import { existsSync } from "node:fs";
import { type CertificateStatus, findWarnings } from "./certificates/report.ts";
import type { KeptSource } from "./certificates/source.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import { refusedMs } from "./core/departures.ts";
import { createDebugContext } from "./debug.ts";
import type { Health } from "./net/http-answers.ts";
import type { RouteContext } from "./net/routes.ts";
import type { StatusContext } from "./net/status-page.ts";
import type { Parts } from "./parts.ts";
import type { Settings } from "./settings.ts";
import { renderStatus } from "./status/relay-status.ts";
import { isToken } from "./status/token.ts";
import { createUpdaterFile, type ReadUpdater } from "./status/updater-file.ts";
import { summariseUpdater } from "./status/updater-status.ts";

export interface RoutesContext {
  readonly version: string;
  /** SHA-256 of the running bundle; null when the sources run as they are. */
  readonly bundle: string | null;
  /** The environment, which derper too takes who may look at the debug pages from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
}

/** What changes while the relay runs. */
export interface Changing {
  readonly certificates: KeptSource | undefined;
  readonly rateLimit: () => RateLimit | undefined;
  /** The digest of the token; undefined without the option, then as ever. */
  readonly statusToken: () => Buffer | undefined;
  readonly isStopping: () => boolean;
  /** Milliseconds since the process began, on a clock that never goes back. */
  readonly now: () => number;
}

/** What is asked of the parts by more than one page. */
interface Sources {
  readonly health: () => Health;
  readonly certificates: () => readonly CertificateStatus[];
  /** Undefined without the option. */
  readonly updater: ReadUpdater | undefined;
  readonly log: RoutesContext["log"];
}

export function createRoutes(
  settings: Settings,
  parts: Parts,
  { version, bundle, env, log }: RoutesContext,
  changing: Changing,
): RouteContext {
  const { certificates, rateLimit, isStopping, now } = changing;
  const { home, derp, ace, hostname, updaterStatusFile } = settings.config;
  const secure = settings.tls;
  const statuses = (): readonly CertificateStatus[] => certificates?.statuses() ?? [];
  const updater =
    updaterStatusFile === "" ? undefined : createUpdaterFile(settings.resolve(updaterStatusFile), now);
  const health = (): Health => {
    const warnings = findWarnings(statuses(), Date.now());
    return {
      ...parts.selfProbes.describe({ version, bundle }, isStopping()),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(updater && { updater: summariseUpdater(updater()) }),
    };
  };
  return {
    secure,
    ace,
    challenges: certificates?.challenges,
    answers: {
      home,
      hostName: hostname,
      derp,
      health,
      bootstrapDns: (question, asker) => parts.bootstrapDns.answer(question, asker),
    },
    debug: createDebugContext(settings, {
      core: parts.core,
      tls: secure ? parts.tlsCounters : undefined,
      stun: parts.stunCounters,
      bootstrapDns: parts.bootstrapDns.counters,
      caps: parts.caps,
      admission: parts.admission,
      health: parts.selfProbes.health,
      certificates: statuses,
      updater: () => updater?.(),
      rateLimit,
      version,
      env,
      now,
    }),
    status: createStatus(settings, parts, { health, certificates: statuses, updater, log }, changing),
  };
}

/** Undefined if there is no token: then there is no such page. */
function createStatus(
  { config, resolve }: Settings,
  { core }: Parts,
  { health, certificates, updater, log }: Sources,
  { statusToken, now }: Changing,
): StatusContext | undefined {
  if (statusToken() === undefined) return undefined;
  return {
    isToken(given) {
      const digest = statusToken();
      return digest !== undefined && isToken(given, digest);
    },
    render: () =>
      renderStatus(
        {
          health: health(),
          connections: core.counters.connections,
          homeConnections: core.counters.homeConnections,
          certificates: certificates(),
          updater: updater === undefined ? null : updater(),
          uptimeSeconds: now() / 1_000,
        },
        Date.now(),
      ),
    letGo() {
      const { drainingFile } = config;
      if (drainingFile === "" || !existsSync(resolve(drainingFile))) return undefined;
      const overMs = spreadOf(core.counters.homeConnections);
      const leaving = core.letGo(overMs, now());
      log(
        `the region is draining: ${leaving} clients are let go within ${overMs} ms, as somebody with the status token asked`,
      );
      return `${JSON.stringify({ leaving, overMs, refusedMs })}\n`;
    },
  };
}

/** So many a second, so that the relays that they go to can take them; all of them within a minute. */
const leavingPerSecond = 50;
const longestLeavingMs = 60_000;

function spreadOf(clients: number): number {
  return Math.min(longestLeavingMs, Math.round((clients / leavingPerSecond) * 1_000));
}
