/** Metrics that derper does not have. Their names begin with `derpkit_`, and are the same in `/debug/vars`. */
import type { CertificateCounts } from "../certificates/report.ts";
import type { Metric, Reading, Sample } from "./metric.ts";
import type { AdmissionModeCounts, MetricSources } from "./sources.ts";

const rows: readonly Omit<Metric, "vars">[] = [
  {
    name: "derpkit_connections_refused",
    type: "counter",
    labels: ["limit"],
    help: "Connections refused by a limit of ours: in all, of one source before login, or of one node key.",
    read: ({ refused }) => Object.entries(refused).map(([limit, value]) => ({ labels: [limit], value })),
  },
  {
    name: "derpkit_queue_memory_bytes",
    type: "gauge",
    help: "Memory that holds packets on their way out; beyond 32 MiB, or a quarter of what the process may use, the longest queue gives way.",
    read: ({ queues }) => queues?.memoryBytes,
  },
  {
    name: "derpkit_health_ok",
    type: "gauge",
    help: "1 while the relay's probes of itself find it well, 0 while /healthz says unhealthy.",
    read: ({ health }) => health && Number(health.failing.length === 0),
  },
  {
    name: "derpkit_health_probes",
    type: "counter",
    labels: ["probe", "result"],
    help: "Questions of the relay to its own listeners, by what came of them; no other metric counts them.",
    read: ({ health }) =>
      health &&
      [...health.probes].flatMap(([name, { passed, failed }]) => [
        { labels: [name, "passed"], value: passed },
        { labels: [name, "failed"], value: failed },
      ]),
  },
  {
    name: "derpkit_health_stun_silenced",
    type: "counter",
    help: "STUN requests without an answer, because the relay was unhealthy; stun_requests does not count them.",
    read: ({ health, stun }) => health && stun.silenced,
  },
  {
    name: "derpkit_certificate_days_left",
    type: "gauge",
    labels: ["name"],
    help: "Days until the certificate that is shown ends; negative once it has.",
    read: perCertificate(({ secondsLeft }) => secondsLeft && secondsLeft / 86_400),
  },
  {
    name: "derpkit_certificate_next_attempt_seconds",
    type: "gauge",
    labels: ["name"],
    help: "When the certificate authority is asked next, in seconds since 1970.",
    read: perCertificate(({ renewal }) => renewal?.nextAttemptSeconds),
  },
  {
    name: "derpkit_certificate_renewal_overdue",
    type: "gauge",
    labels: ["name"],
    help: "1 if a renewal should have been here for a tenth of the certificate's lifetime.",
    read: perCertificate(({ renewal }) => renewal && Number(renewal.overdue)),
  },
  {
    name: "derpkit_certificate_failures_in_a_row",
    type: "gauge",
    labels: ["name", "last_error"],
    help: "Attempts to get the certificate that failed since the last that did not, and what failed last.",
    read: ({ certificates }) =>
      someSamples(
        certificates.flatMap(({ name, renewal }) =>
          renewal === undefined
            ? []
            : [{ labels: [name, renewal.lastFailure ?? ""], value: renewal.failures }],
        ),
      ),
  },
  {
    name: "derpkit_certificate_orders",
    type: "counter",
    labels: ["name", "result"],
    help: "Attempts to get the certificate, by what came of them.",
    read: ({ certificates }) =>
      someSamples(
        certificates.flatMap(({ name, renewal }) =>
          renewal === undefined
            ? []
            : [
                { labels: [name, "issued"], value: renewal.issued },
                { labels: [name, "failed"], value: renewal.failed },
              ],
        ),
      ),
  },
  {
    name: "derpkit_updater_sequence",
    type: "gauge",
    help: "The highest manifest sequence that the node's updater has accepted, as it says in -updater-status-file.",
    read: ({ updater }) => updater?.sequence,
  },
  {
    name: "derpkit_updater_refused",
    type: "gauge",
    help: "1 while the node's updater does not take what is delivered, 0 otherwise; left out while nobody knows.",
    read: ({ updater }) => updater && Number(updater.refused),
  },
  {
    name: "derpkit_updater_status_age_seconds",
    type: "gauge",
    help: "Time since the node's updater said how it does; left out while nobody knows.",
    read: ({ updater }) => updater?.ageSeconds,
  },
  {
    name: "derpkit_admission_queries",
    type: "counter",
    labels: ["mode"],
    help: "Questions about a client that were put to a mode of admission; what is remembered is not asked again.",
    read: perMode(({ queries }) => queries),
  },
  {
    name: "derpkit_admission_answers",
    type: "counter",
    labels: ["mode", "answer"],
    help: "Answers of a mode, but for those from memory: allow, deny, or unknown where nobody could say.",
    read: perModeAnd(({ allow, deny, unknown }) => ({ allow, deny, unknown })),
  },
  {
    name: "derpkit_admission_unknown",
    type: "counter",
    labels: ["mode", "failure"],
    help: "Why nobody could say: the unknown answers of a mode, by what failed.",
    read: perModeAnd(({ failures }) => failures),
  },
  {
    name: "derpkit_admission_cached",
    type: "counter",
    labels: ["mode"],
    help: "Answers of a mode that were given again from memory.",
    read: perMode(({ cached }) => cached),
  },
  {
    name: "derpkit_admission_list_reads",
    type: "counter",
    labels: ["mode", "result"],
    help: "Times that a mode's list was to be read, by whether it could be.",
    read: perModeAnd(({ list }) => list && { failed: list.failedReads, read: list.reads - list.failedReads }),
  },
  {
    name: "derpkit_admission_list_keys",
    type: "gauge",
    labels: ["mode"],
    help: "Keys on the last good list of a mode.",
    read: perMode(({ list }) => list?.keys),
  },
  {
    name: "derpkit_admission_list_age_seconds",
    type: "gauge",
    labels: ["mode"],
    help: "Time since the last good list of a mode was read. It is read when clients are asked about, not otherwise.",
    read: perMode(({ list }) => (list?.ageMs === undefined ? undefined : list.ageMs / 1_000)),
  },
  {
    name: "derpkit_admission_sessions_ended",
    type: "counter",
    labels: ["reason"],
    help: "Sessions ended because they were denied twice, or because nobody could say for too long (stale).",
    read: ({ admission }) =>
      admission && Object.entries(admission.ended).map(([reason, value]) => ({ labels: [reason], value })),
  },
  {
    name: "derpkit_admission_sessions_watched",
    type: "gauge",
    help: "Sessions that are asked about again and again.",
    read: ({ admission }) => admission?.watched,
  },
];

export const ownMetrics: readonly Metric[] = rows.map((row) => ({ ...row, vars: row.name }));

type Read = (sources: MetricSources) => Reading | undefined;

/** A number for each certificate; nothing for those that have none. */
function perCertificate(read: (certificate: CertificateCounts) => number | undefined): Read {
  return ({ certificates }) =>
    someSamples(
      certificates.flatMap((certificate) => {
        const value = read(certificate);
        return value === undefined ? [] : [{ labels: [certificate.name], value }];
      }),
    );
}

/** What has no samples is not exported. */
function someSamples(samples: readonly Sample[]): readonly Sample[] | undefined {
  return samples.length === 0 ? undefined : samples;
}

/** A number for each mode; nothing for those that have none. */
function perMode(read: (mode: AdmissionModeCounts) => number | undefined): Read {
  return perLabels((mode) => {
    const value = read(mode);
    return value === undefined ? [] : [{ labels: [], value }];
  });
}

/** Numbers for each mode, by a label of their own. */
function perModeAnd(read: (mode: AdmissionModeCounts) => Readonly<Record<string, number>> | undefined): Read {
  return perLabels((mode) =>
    Object.entries(read(mode) ?? {}).map(([label, value]) => ({ labels: [label], value })),
  );
}

function perLabels(read: (mode: AdmissionModeCounts) => readonly Sample[]): Read {
  return ({ admission }) => {
    const samples = Object.entries(admission?.modes ?? {}).flatMap(([mode, counts]) =>
      read(counts).map(({ labels, value }) => ({ labels: [mode, ...labels], value })),
    );
    return someSamples(samples);
  };
}
