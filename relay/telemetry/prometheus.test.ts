import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createHistogram, cumulate, meshBatchBounds, meshLoopBounds, observe } from "../core/histogram.ts";
import { renderMetric, renderPrometheus } from "./prometheus.ts";
import { freshSources } from "./testing/sources.ts";

const metric = { name: "answers", type: "counter", help: "Answers.", vars: "" } as const;

test("a metric is its meaning, its type, and a line for each number", () => {
  const reading = [
    { labels: ["dup_client", "disco"], value: 1.5 },
    { labels: ["dup_client", "other"], value: 0 },
  ];
  assert.equal(
    renderMetric({ ...metric, labels: ["reason", "kind"] }, reading),
    "# HELP answers Answers.\n# TYPE answers counter\n" +
      'answers{reason="dup_client",kind="disco"} 1.5\nanswers{reason="dup_client",kind="other"} 0\n',
  );
  assert.equal(renderMetric(metric, 3), "# HELP answers Answers.\n# TYPE answers counter\nanswers 3\n");
  assert.equal(renderMetric(metric, undefined), "");
});

test("quotes, backslashes and line ends in a label, and the last two in a help text, are escaped", () => {
  const label = renderMetric({ ...metric, labels: ["name"] }, [{ labels: ['a"b\\c\nd'], value: 1 }]);
  assert.equal(label.split("\n")[2], String.raw`answers{name="a\"b\\c\nd"} 1`);
  const help = renderMetric({ ...metric, help: 'a"b\\c\nd' }, 1);
  assert.equal(help.split("\n")[0], String.raw`# HELP answers a"b\\c\nd`);
});

test("a histogram is printed cumulated, as derper prints it", () => {
  const histogram = createHistogram([0, 1, 2.5]);
  for (const value of [0, 1, 1, 2, 3]) observe(histogram, value);
  const lines = renderMetric({ ...metric, type: "histogram" }, histogram)
    .split("\n")
    .slice(1);
  assert.deepEqual(lines, [
    "# TYPE answers histogram",
    'answers_bucket{le="0"} 1',
    'answers_bucket{le="1"} 3',
    'answers_bucket{le="2.5"} 4',
    'answers_bucket{le="+Inf"} 5',
    "answers_sum 7",
    "answers_count 5",
    "",
  ]);
});

test("whatever is observed, a bucket holds what is at most its bound", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(meshBatchBounds, meshLoopBounds, []),
      fc.array(fc.nat(2_000)),
      (bounds, values) => {
        const histogram = createHistogram(bounds);
        for (const value of values) observe(histogram, value);
        const atMost = (bound: number): number => values.filter((value) => value <= bound).length;
        assert.deepEqual(cumulate(histogram), {
          buckets: [...bounds.map((bound) => [`${bound}`, atMost(bound)]), ["+Inf", values.length]],
          sum: values.reduce((sum, value) => sum + value, 0),
          count: values.length,
        });
      },
    ),
  );
});

test("every line of the page is one that the format allows", () => {
  const lines = renderPrometheus(freshSources()).split("\n");
  assert.equal(lines.pop(), "");
  const comment = /^# (?:HELP [a-z_]+ \S.*|TYPE [a-z_]+ (?:counter|gauge|untyped|histogram))$/;
  const label = String.raw`[a-z]+="(?:[^"\\\n]|\\["\\n])*"`;
  const sample = new RegExp(String.raw`^[a-z_0-9]+(?:\{${label}(?:,${label})*\})? -?\d+(?:\.\d+)?$`);
  const wrong = lines.filter((line) => !(line.startsWith("#") ? comment : sample).test(line));
  assert.deepEqual(wrong, []);
});
