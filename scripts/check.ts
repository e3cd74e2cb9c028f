/** `npm run check`: what has to hold before a change is pushed; the same here and in CI. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import type { Command } from "./cli/command.ts";
import { unitTests } from "./test.ts";

const root = path.join(import.meta.dirname, "..");
const run = path.join(import.meta.dirname, "run.mjs");

interface Part {
  readonly name: string;
  /** What Node runs. */
  readonly args: readonly string[];
}

interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Standard output and error, as they came. */
  readonly output: string;
}

/** What runs side by side: tests wait as much as they compute. The tools are there in a checkout only. */
const listLanes = (): readonly (readonly Part[])[] => [
  [{ name: "tests of the product", args: [run, "test", unitTests.product] }],
  [{ name: "tests of the commands", args: [run, "test", unitTests.tools] }],
  [
    { name: "format", args: [tool("oxfmt", "bin/oxfmt"), "--check", "."] },
    { name: "lint", args: [tool("oxlint", "bin/oxlint"), "--type-aware"] },
    { name: "types", args: [tool("typescript", "bin/tsc"), "-p", "."] },
    { name: "docs", args: [run, "docs", "--check"] },
  ],
];

export const command: Command = {
  name: "check",
  summary: "Check format, lint, types, tests and generated docs.",
  usage: "[--json]",
  flags: {},
  async run({ out, signal }) {
    const lanes = listLanes();
    const step = out.step("checking");
    const waiting = new Set(lanes.flat().map(({ name }) => name));
    const runLane = async (parts: readonly Part[]): Promise<Outcome[]> => {
      const outcomes: Outcome[] = [];
      for (const part of parts) {
        outcomes.push(await runPart(part, signal));
        waiting.delete(part.name);
        step.update(`checking: ${[...waiting].join(", ")}`);
      }
      return outcomes;
    };
    const outcomes = (await Promise.all(lanes.map(runLane))).flat();
    const failed = outcomes.filter(({ ok }) => !ok);
    if (failed.length === 0) step.done("checked");
    else step.fail(`failed: ${failed.map(({ name }) => name).join(", ")}`);
    for (const { name, output } of failed) out.note(`\n${name}:\n${output.trimEnd()}\n`);
    const width = Math.max(...outcomes.map(({ name }) => name.length));
    for (const { name, ok, ms } of outcomes) {
      out.line(`${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${(ms / 1000).toFixed(1).padStart(5)} s`);
    }
    out.document({ ok: failed.length === 0, parts: outcomes });
    return failed.length === 0 ? 0 : 1;
  },
};

async function runPart({ name, args }: Part, signal: AbortSignal): Promise<Outcome> {
  const begun = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const stop = (): boolean => child.kill("SIGTERM");
  signal.addEventListener("abort", stop);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [status]: unknown[] = await once(child, "close");
  signal.removeEventListener("abort", stop);
  return { name, ok: status === 0, ms: Math.round(performance.now() - begun), output };
}

/** The script of a tool, to run it with this Node.js, whichever one is first in PATH. */
function tool(packageName: string, script: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  return path.join(path.dirname(manifest), script);
}
