/** `/debug/varz`: metrics in the text format of Prometheus, version 0.0.4. */
import { cumulate, type Histogram } from "../core/histogram.ts";
import type { Metric, Reading } from "./metric.ts";
import { metrics } from "./metrics.ts";
import type { MetricSources } from "./sources.ts";

/** Renders all that is measured, by name. */
export function renderPrometheus(sources: MetricSources): string {
  return metrics.map((metric) => renderMetric(metric, metric.read(sources))).join("");
}

/** One metric: what it is, its type, and a line for each number. Empty for a reading of undefined. */
export function renderMetric(metric: Omit<Metric, "read">, reading: Reading | undefined): string {
  if (reading === undefined) return "";
  const { name, type, help, labels = [] } = metric;
  const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
  if (typeof reading === "number") return head + renderLine(name, [], [], reading);
  if ("bounds" in reading) return head + renderHistogram(name, reading);
  return head + reading.map((sample) => renderLine(name, labels, sample.labels, sample.value)).join("");
}

function renderHistogram(name: string, histogram: Histogram): string {
  const { buckets, sum, count } = cumulate(histogram);
  return [
    ...buckets.map(([bound, atMost]) => renderLine(`${name}_bucket`, ["le"], [bound], atMost)),
    renderLine(`${name}_sum`, [], [], sum),
    renderLine(`${name}_count`, [], [], count),
  ].join("");
}

function renderLine(
  name: string,
  labels: readonly string[],
  texts: readonly string[],
  value: number,
): string {
  const pairs = labels.map((label, index) => `${label}="${escapeLabel(texts[index] ?? "")}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", String.raw`\\`).replaceAll("\n", String.raw`\n`);
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', String.raw`\"`);
}
