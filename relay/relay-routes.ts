/** What the listeners answer, put together from what every part says of itself. */
import { type CertificateStatus, findWarnings } from "./certificates/report.ts";
import type { KeptSource } from "./certificates/source.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
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
}

export function createRoutes(
  settings: Settings,
  parts: Parts,
  { version, bundle, env }: RoutesContext,
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
    status: createStatus(parts, { health, certificates: statuses, updater }, changing),
  };
}

/** Undefined if there is no token: then there is no such page. */
function createStatus(
  { core }: Parts,
  { health, certificates, updater }: Sources,
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
  };
}
