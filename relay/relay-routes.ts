/** What the listeners answer, put together from what every part says of itself. */
import { type CertificateStatus, findWarnings } from "./certificates/report.ts";
import type { KeptSource } from "./certificates/source.ts";
import type { RateLimit } from "./core/byte-bucket.ts";
import { createDebugContext } from "./debug.ts";
import type { Health } from "./net/http-answers.ts";
import type { RouteContext } from "./net/routes.ts";
import type { Parts } from "./parts.ts";
import type { Settings } from "./settings.ts";
import { createUpdaterFile } from "./status/updater-file.ts";
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
  readonly isStopping: () => boolean;
  /** Milliseconds since the process began, on a clock that never goes back. */
  readonly now: () => number;
}

export function createRoutes(
  settings: Settings,
  parts: Parts,
  { version, bundle, env }: RoutesContext,
  { certificates, rateLimit, isStopping, now }: Changing,
): RouteContext {
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
  };
}
