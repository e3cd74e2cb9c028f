/**
 * A process that runs one file of small benchmarks: `node micro-client.ts FILE`.
 *
 * The file exports `benchmarks`: by name a function that does some operations and returns how many. The result is one line of
 * JSON, nanoseconds for one operation by name: the median of several stretches, when the code has been compiled.
 */
import process from "node:process";
import { pathToFileURL } from "node:url";
import { median } from "./statistics.ts";

type Benchmarks = Readonly<Record<string, () => number>>;

const warmupMs = 300;
const stretchMs = 100;
const stretches = 7;

const { benchmarks } = (await import(pathToFileURL(process.argv[2] ?? "").href)) as {
  benchmarks: Benchmarks;
};
const results = Object.entries(benchmarks).map(([name, work]) => {
  measure(work, warmupMs);
  return [name, median(Array.from({ length: stretches }, () => measure(work, stretchMs)))] as const;
});
process.stdout.write(`${JSON.stringify(Object.fromEntries(results))}\n`);

function measure(work: () => number, ms: number): number {
  const begun = performance.now();
  let operations = 0;
  let passed = 0;
  while (passed < ms) {
    operations += work();
    passed = performance.now() - begun;
  }
  return (passed / operations) * 1e6;
}
