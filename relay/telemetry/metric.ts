/** What a metric is. */
import type { Histogram } from "../core/histogram.ts";
import type { MetricSources } from "./sources.ts";

export type MetricType = "counter" | "gauge" | "untyped" | "histogram";

/** One number among several under a name. */
export interface Sample {
  /** The values of the metric's labels, in their order. */
  readonly labels: readonly string[];
  readonly value: number;
}

export type Reading = number | readonly Sample[] | Histogram;

export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** Names of the labels, if it has any. */
  readonly labels?: readonly string[];
  /** Its place in `/debug/vars`, `object.key` or `key`; empty if it is in `/debug/varz` only, as in derper. */
  readonly vars: string;
  /** @returns undefined if nobody measures it */
  readonly read: (sources: MetricSources) => Reading | undefined;
}
