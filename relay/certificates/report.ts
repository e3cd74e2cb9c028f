/** What is told of certificates: numbers for metrics, and warnings for whoever looks at /healthz. Pure. */
import type { Planned } from "./decision.ts";

/** What is known of a certificate. Times are in milliseconds since 1970. */
export interface CertificateStatus {
  /** The name or address that it is for. */
  readonly name: string;
  /** Undefined while there is none. */
  readonly notAfter: number | undefined;
  /** Undefined for one that somebody else renews, or nobody. */
  readonly renewal: RenewalStatus | undefined;
}

export interface RenewalStatus {
  /** When it should have been renewed at the latest; undefined while there is no certificate. */
  readonly overdueAt: number | undefined;
  /** When the authority is asked next, and why then; undefined while it is being asked. */
  readonly next: Planned | undefined;
  /** In a row. */
  readonly failures: number;
  readonly lastFailure: { readonly kind: string; readonly message: string; readonly at: number } | undefined;
  /** Since the process started. */
  readonly issued: number;
  readonly failed: number;
}

/** A certificate as metrics show it. */
export interface CertificateCounts {
  /** The name or address that it is for. */
  readonly name: string;
  /** Until it ends, below 0 once it has; undefined while there is none. */
  readonly secondsLeft: number | undefined;
  /** Undefined for one that the relay does not renew itself. */
  readonly renewal: RenewalCounts | undefined;
}

export interface RenewalCounts extends Pick<RenewalStatus, "failures" | "issued" | "failed"> {
  /** When the authority is asked next, in seconds since 1970. */
  readonly nextAttemptSeconds: number | undefined;
  /** A renewal should have been here by now: a tenth of the lifetime ago. */
  readonly overdue: boolean;
  /** The kind of the last failure, unless an attempt has succeeded since. */
  readonly lastFailure: string | undefined;
}

export function countCertificates(statuses: readonly CertificateStatus[], now: number): CertificateCounts[] {
  return statuses.map(({ name, notAfter, renewal }) => ({
    name,
    secondsLeft: notAfter === undefined ? undefined : (notAfter - now) / 1_000,
    renewal: renewal && {
      failures: renewal.failures,
      issued: renewal.issued,
      failed: renewal.failed,
      nextAttemptSeconds: renewal.next && renewal.next.at / 1_000,
      overdue: isOverdue(renewal, now),
      lastFailure: renewal.lastFailure?.kind,
    },
  }));
}

/** All that is known, as JSON for people: what was last said by an authority, and when it is asked next, and why. */
export function renderCertificates(statuses: readonly CertificateStatus[]): string {
  const shown = statuses.map(({ name, notAfter, renewal }) => ({
    name,
    notAfter: renderTime(notAfter),
    ...(renewal && {
      renewal: {
        overdueAt: renderTime(renewal.overdueAt),
        next: renewal.next && { at: renderTime(renewal.next.at), why: renewal.next.why },
        failures: renewal.failures,
        lastFailure: renewal.lastFailure && {
          ...renewal.lastFailure,
          at: renderTime(renewal.lastFailure.at),
        },
      },
    }),
  }));
  return `${JSON.stringify(shown, undefined, 2)}\n`;
}

function renderTime(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}

/** A sentence for each certificate that somebody has to see to. It is for everybody to read, so it says no more than a handshake does. */
export function findWarnings(statuses: readonly CertificateStatus[], now: number): string[] {
  return statuses.flatMap(({ name, notAfter, renewal }) => {
    if (notAfter === undefined) return [`there is no certificate for ${name} yet`];
    const end = new Date(notAfter).toISOString();
    if (notAfter <= now) return [`the certificate of ${name} ended at ${end}`];
    if (renewal === undefined || !isOverdue(renewal, now)) return [];
    return [`the renewal of the certificate of ${name} is overdue; it ends at ${end}`];
  });
}

function isOverdue({ overdueAt }: RenewalStatus, now: number): boolean {
  return overdueAt !== undefined && now > overdueAt;
}
