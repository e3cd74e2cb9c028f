/** What /derpkit/status says to who shows the token: gates and retirements decide by it. Pure. */
import type { CertificateStatus } from "../certificates/report.ts";
import type { UpdaterStatus } from "./updater-status.ts";

export interface RelayStatus {
  /** Of /healthz: what is public is the same here. */
  readonly health: PublicHealth;
  /** Connections that are logged in, and those among them whose home this relay is. */
  readonly connections: number;
  readonly homeConnections: number;
  readonly certificates: readonly CertificateStatus[];
  /** Undefined if it says nothing that can be read; null if no file is named. */
  readonly updater: UpdaterStatus | undefined | null;
  /** Since the process began. */
  readonly uptimeSeconds: number;
}

interface PublicHealth {
  readonly ok: boolean;
  readonly version: string;
  readonly bundle: string | null;
  readonly state: string;
}

const dayMs = 86_400_000;

/**
 * Renders the JSON.
 *
 * @param now milliseconds since 1970
 */
export function renderStatus(
  { health, certificates, updater, uptimeSeconds, ...counts }: RelayStatus,
  now: number,
): string {
  const { ok, version, bundle, state } = health;
  const status = {
    ok,
    version,
    bundle,
    state,
    connections: counts.connections,
    homeConnections: counts.homeConnections,
    certificates: certificates.map((certificate) => describeCertificate(certificate, now)),
    updater: updater === undefined ? { state: "unknown" } : updater,
    uptimeSeconds: Math.floor(uptimeSeconds),
  };
  return `${JSON.stringify(status)}\n`;
}

/** Whole days, rounded down: below 0 once it has ended. Both null while there is no certificate. */
function describeCertificate({ name, notAfter }: CertificateStatus, now: number): object {
  if (notAfter === undefined) return { name, notAfter: null, daysLeft: null };
  return {
    name,
    notAfter: new Date(notAfter).toISOString(),
    daysLeft: Math.floor((notAfter - now) / dayMs),
  };
}
