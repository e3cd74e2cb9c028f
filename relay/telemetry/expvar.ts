/** `/debug/vars`: the same numbers as JSON, laid out and spaced as Go's expvar does in derper. */
import { cumulate, type Histogram } from "../core/histogram.ts";
import type { Reading, Sample } from "./metric.ts";
import { metrics } from "./metrics.ts";
import type { MetricSources } from "./sources.ts";

/** Variables by name; each is JSON text already, or an object of such. */
type Variables = Map<string, string | Map<string, string>>;

/** Renders all that is measured: one line for each variable, in the order of their names. */
export function renderVars(sources: MetricSources): string {
  const version = JSON.stringify(sources.facts.version);
  const variables: Variables = new Map();
  put(variables, ["version"], version);
  put(variables, ["derp", "version"], version);
  for (const { vars, read } of metrics) {
    const reading = read(sources);
    if (vars !== "" && reading !== undefined) put(variables, vars.split("."), renderReading(reading));
  }
  const lines = sorted(variables).map(([name, variable]) => {
    const text = typeof variable === "string" ? variable : renderObject(sorted(variable));
    return `${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** Puts a variable under its name, or under a key of the object of that name. */
function put(variables: Variables, [name = "", key]: readonly string[], text: string): void {
  if (key === undefined) {
    variables.set(name, text);
    return;
  }
  const object = variables.get(name);
  if (object instanceof Map) object.set(key, text);
  else variables.set(name, new Map([[key, text]]));
}

function renderReading(reading: Reading): string {
  if (typeof reading === "number") return `${reading}`;
  return "bounds" in reading ? renderHistogram(reading) : renderSamples(reading);
}

/** The values of the one label are the keys; with two labels there is an object in the object. */
function renderSamples(samples: readonly Sample[]): string {
  const variables: Variables = new Map();
  for (const { labels, value } of samples) put(variables, labels, `${value}`);
  return renderObject(
    [...variables].map(([key, inner]) => [key, typeof inner === "string" ? inner : renderObject([...inner])]),
  );
}

/** derper writes a histogram by itself, and leaves out the spaces between. */
function renderHistogram(histogram: Histogram): string {
  const { buckets, sum, count } = cumulate(histogram);
  const entries = [...buckets, ["sum", sum], ["count", count]] as const;
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(",")}}`;
}

function renderObject(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([key, text]) => `${JSON.stringify(key)}: ${text}`).join(", ")}}`;
}

function sorted<T>(variables: ReadonlyMap<string, T>): [string, T][] {
  return [...variables].sort(([one], [other]) => (one < other ? -1 : 1));
}
