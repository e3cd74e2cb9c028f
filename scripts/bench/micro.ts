/** The small benchmarks beside the code, `*.bench.ts`, each file in a process of its own. */
import { globSync } from "node:fs";
import path from "node:path";
import type { Output } from "../cli/output.ts";
import { parseValues } from "./derpbench.ts";
import { runProgram } from "./processes.ts";

export interface MicroResult {
  readonly name: string;
  /** Nanoseconds for one operation, by runtime. */
  readonly ns: Readonly<Record<string, number>>;
}

/** @param runtimes programs that run TypeScript, by their names */
export async function runMicroBenchmarks(
  root: string,
  runtimes: ReadonlyMap<string, string>,
  out: Output,
  signal: AbortSignal,
): Promise<MicroResult[]> {
  const results = new Map<string, Record<string, number>>();
  const client = path.join(import.meta.dirname, "micro-client.ts");
  const step = out.step("measuring");
  for (const file of globSync("relay/**/*.bench.ts", { cwd: root }).toSorted()) {
    for (const [runtime, program] of runtimes) {
      step.update(`${file} on ${runtime}`);
      const values = parseValues(await runProgram([program, client, path.join(root, file)], signal));
      for (const [name, ns] of Object.entries(values)) {
        results.set(name, { ...results.get(name), [runtime]: ns });
      }
    }
  }
  step.done("measured");
  return [...results].map(([name, ns]) => ({ name, ns }));
}
