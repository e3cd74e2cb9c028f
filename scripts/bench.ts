/** `npm run bench`: derper and ours on the same work, in turn, and what that costs each of them. */
import { writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import path from "node:path";
import process from "node:process";
import { KitError } from "../relay/errors.ts";
import { relayBundle } from "../infra/delivery/relay-bundle.ts";
import { type Case, cases as allCases, openFilesOf } from "./bench/cases.ts";
import { defaultRuntime, type ServerKind, serverKinds, timesBetter } from "./bench/figures.ts";
import { measureCase } from "./bench/measure.ts";
import { runMicroBenchmarks } from "./bench/micro.ts";
import {
  chooseCases,
  chooseServers,
  defaultRounds,
  estimateRun,
  fullScale,
  parseRounds,
  quickScale,
} from "./bench/plan.ts";
import {
  askVersions,
  buildDerpbench,
  describeMachine,
  findCpus,
  findServerProgram,
  howToGet,
  mayOpen,
  maySlowDown,
} from "./bench/programs.ts";
import { type BenchRecord, type CaseResult, listRows, type Row } from "./bench/record.ts";
import { keepLast, lastFile, writeRecord } from "./bench/record-file.ts";
import { needsDerpbench, type Tools } from "./bench/run-case.ts";
import { createServerFiles } from "./bench/server.ts";
import { limitedRemark, renderCaseLine, renderHead, renderRow, serverNames } from "./bench/table.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { type Output, renderTable } from "./cli/output.ts";
import { withStep } from "./cli/with-step.ts";
import { recordFile, renderPerformanceDocs } from "./docs/performance.ts";

const root = path.join(import.meta.dirname, "..");
const page = "docs/performance.md";
/** Of the minute before. More means that somebody else wants the CPUs. */
const quietLoad = 0.5;

export const command: Command = {
  name: "bench",
  summary: "Measure derper and ours on the same work, and write docs/performance.md's table.",
  usage: "[--only CASE,...] [--servers derper,node,bun] [--rounds N] [--quick] [--write]",
  about: [
    "It needs derper (DERPKIT_TAILNET_CHECK), Bun (DERPKIT_BUN), and derpbench's Go source (DERPKIT_DERPBENCH) with Go.",
    "What is missing is left out. A whole run takes about an hour, and wants the machine for itself; it writes what it",
    `measured to ${recordFile} and ${page}. A run that is limited by a flag writes only with --write, over the`,
    `cases that it measured. Whatever was measured last is in ~/.cache/derpkit/bench/last.json as well.`,
    "",
    `cases: ${allCases.map(({ name }) => name).join(", ")}`,
    "",
    "Status 1 means that ours, on the runtime that nodes get, misses a figure that is asked of it.",
  ].join("\n"),
  flags: {
    only: {
      type: "string",
      value: "CASE,...",
      help: "these cases; the beginning of a name stands for several",
    },
    servers: { type: "string", value: "KIND,...", help: "these relays: derper, node, bun" },
    rounds: { type: "string", value: "N", help: `how often each relay is measured (${defaultRounds})` },
    quick: { type: "boolean", help: "short times and few connections, to see whether everything works" },
    write: { type: "boolean", help: "write what a run with --only or --rounds has measured" },
    micro: { type: "boolean", help: "instead: the small benchmarks beside the code, on Node.js and on Bun" },
  },
  run,
};

async function run(context: CommandContext): Promise<ExitStatus> {
  const { flags, out, signal } = context;
  if (process.platform !== "linux") {
    out.note("CPU time and memory are read from /proc, which only Linux has");
    return 2;
  }
  if (flags["micro"] === true) return await runMicro(out, signal);
  const choice = readChoice(flags);
  const programs = findPrograms(choice.servers, out);
  const derpbench = await withStep(out, "building derpbench", () => buildDerpbench(signal));
  if (derpbench === undefined) out.note(howToGet.derpbench);
  const cpus = await findCpus(signal);
  if (cpus === undefined) out.note("relay and generator share CPUs: it takes two and `taskset` to pin them");
  const cases = await findPossible(choice.cases, derpbench !== undefined, out, signal);
  if (programs.size === 0 || cases.length === 0) {
    out.note("nothing can be measured");
    return 2;
  }

  const versions = await askVersions(programs);
  const relay = await withStep(out, "bundling the relay", relayBundle, ({ version }) => `relay ${version}`);
  await using files = await createServerFiles(relay.code);
  const { scale, rounds } = choice;
  const [load = 0] = loadavg();
  if (load > quietLoad)
    out.note(`something else runs here (load ${load.toFixed(1)}): the figures will suffer`);
  const seconds = cases.reduce((sum, { work }) => sum + estimateRun(work, scale) * rounds * programs.size, 0);
  out.note(
    `${cases.length} cases, ${rounds} rounds, ${[...programs.keys()].join(", ")}: about ${renderTime(seconds)}`,
  );

  const results: Record<string, CaseResult> = {};
  const commands = [choice.command];
  const record: BenchRecord = { machine: describeMachine(cpus), versions, commands, cases: results };
  const tools: Omit<Tools, "openFiles" | "enter"> = { derpbench, cpus, scale };
  for (const [index, one] of cases.entries()) {
    const label = `[${index + 1}/${cases.length}] ${one.title}`;
    const step = out.step(label);
    try {
      const progress = (text: string): void => step.update(`${label}: ${text}`);
      const options = { ...tools, openFiles: openFilesOf(one), programs, files, rounds, progress };
      const outcomes = await measureCase(one, options, signal);
      results[one.name] = { date: new Date().toISOString().slice(0, 10), relay: relay.version, outcomes };
    } catch (error) {
      step.fail(`${label}: not finished`);
      if (signal.aborted) break;
      throw error;
    }
    await keepLast(record);
    const rows = listRows(record, defaultRuntime).filter(({ of }) => of === one);
    const missed = rows.some(({ verdict }) => verdict === "missed");
    if (missed) step.fail(renderCaseLine(rows));
    else step.done(renderCaseLine(rows));
  }
  const whole = choice.whole && cases.length === allCases.length;
  const write = choice.write && programs.size === serverKinds.length;
  if (choice.write && !write) out.note(`nothing is written: ${page} compares ${serverKinds.join(", ")}`);
  return await conclude(record, { write, whole }, context);
}

interface Choice {
  readonly cases: readonly Case[];
  readonly servers: readonly ServerKind[];
  readonly rounds: number;
  readonly scale: typeof fullScale;
  /** True if the figures are to go to the page. */
  readonly write: boolean;
  /** True if nothing was left out by a flag. */
  readonly whole: boolean;
  /** As typed. */
  readonly command: string;
}

/** @throws KitError `usage` */
function readChoice(flags: CommandContext["flags"]): Choice {
  const text = (name: string): string | undefined => flags[name] as string | undefined;
  const [only, servers, rounds] = [text("only"), text("servers"), text("rounds")];
  const quick = flags["quick"] === true;
  if (flags["write"] === true && (quick || servers !== undefined)) {
    throw new KitError("usage", {
      message:
        "derpkit bench: --write is for figures that were measured at full length, and of all relays in turn.",
      fix: "Leave out --quick and --servers.",
    });
  }
  const limited = [only, servers, rounds].some((flag) => flag !== undefined) || quick;
  const typed = Object.entries({ only, rounds }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${value}`],
  );
  return {
    cases: chooseCases(only),
    servers: chooseServers(servers),
    rounds: parseRounds(rounds),
    scale: quick ? quickScale : fullScale,
    write: !limited || flags["write"] === true,
    whole: only === undefined,
    command: ["npm run bench", ...(typed.length === 0 ? [] : ["--", ...typed])].join(" "),
  };
}

function findPrograms(servers: readonly ServerKind[], out: Output): ReadonlyMap<ServerKind, string> {
  const found = servers.flatMap((kind) => {
    const program = findServerProgram(kind);
    if (program !== undefined) return [[kind, program] as const];
    if (kind !== "node") out.note(`${howToGet[kind]}; it is left out`);
    return [];
  });
  return new Map(found);
}

/** Leaves out, and tells, what cannot be measured here. */
async function findPossible(
  chosen: readonly Case[],
  hasDerpbench: boolean,
  out: Output,
  signal: AbortSignal,
): Promise<readonly Case[]> {
  const possible: Case[] = [];
  for (const one of chosen) {
    const files = openFilesOf(one);
    if (!hasDerpbench && needsDerpbench(one.work)) out.note(`${one.name} is left out: it needs derpbench`);
    else if (one.name === "throttled" && !(await maySlowDown(signal)))
      out.note(`${one.name} is left out: a network with a slow link takes root, and \`ip\` and \`tc\``);
    else if (!(await mayOpen(files, signal)))
      out.note(
        `${one.name} is left out: it needs ${files} open files, and \`ulimit -n ${files}\` is refused`,
      );
    else possible.push(one);
  }
  return possible;
}

/** Shows what was measured, and writes it where it belongs. */
async function conclude(
  record: BenchRecord,
  { write, whole }: Pick<Choice, "write" | "whole">,
  { out, signal }: CommandContext,
): Promise<ExitStatus> {
  const rows = listRows(record, defaultRuntime);
  const missed = rows.filter(({ verdict }) => verdict === "missed");
  if (rows.length > 0) showRows(rows, out);
  const written = write && rows.length > 0 && (await writeResults(record, whole && !signal.aborted, out));
  const ok = missed.length === 0 && !signal.aborted;
  out.document({
    ok,
    ...(signal.aborted ? { stopped: signal.reason } : {}),
    runtime: defaultRuntime,
    figures: rows.map(describeRow),
    record,
    written,
  });
  if (signal.aborted) {
    out.note(
      `stopped before all was measured${rows.length > 0 ? `; the cases that were are in ${lastFile}` : ""}`,
    );
    return 2;
  }
  return ok ? 0 : 1;
}

async function writeResults(record: BenchRecord, whole: boolean, out: Output): Promise<boolean> {
  if (!(await writeRecord(record, whole))) {
    out.note(
      `${recordFile} is of another machine or of other versions, and stays: all has to be measured anew`,
    );
    return false;
  }
  await writeFile(path.join(root, page), renderPerformanceDocs());
  out.line(`wrote ${recordFile} and ${page}`);
  return true;
}

function showRows(rows: readonly Row[], out: Output): void {
  out.line();
  out.line(
    renderTable(
      renderHead(defaultRuntime),
      rows.map((row) => renderRow(row, defaultRuntime)),
    ),
  );
  if (rows.some(({ limited }) => Object.keys(limited).length > 0)) out.line(`\n${limitedRemark}`);
  for (const { of, failures } of new Map(rows.map((row) => [row.of, row])).values()) {
    for (const kind of serverKinds) {
      if (failures[kind] !== undefined)
        out.line(`${of.title}, ${serverNames[kind]} failed: ${failures[kind]}`);
    }
  }
}

function describeRow({ of, figure, values, failures, verdict }: Row): object {
  const times = Object.fromEntries(
    (["node", "bun"] as const).map((kind) => [kind, timesBetter(figure, values.derper, values[kind])]),
  );
  const { value, label, unit } = figure;
  return { case: of.name, value, label, unit, values, times, failures, verdict };
}

async function runMicro(out: Output, signal: AbortSignal): Promise<ExitStatus> {
  const bun = findServerProgram("bun");
  if (bun === undefined) out.note(howToGet.bun);
  const runtimes = new Map([
    ["Node.js", process.execPath],
    ...(bun === undefined ? [] : [["Bun", bun] as const]),
  ]);
  const results = await runMicroBenchmarks(root, runtimes, out, signal);
  const names = [...runtimes.keys()];
  out.line(
    renderTable(
      ["Benchmark", ...names.map((name) => `ns on ${name}`)],
      results.map(({ name, ns }) => [name, ...names.map((runtime) => ns[runtime]?.toPrecision(3) ?? "–")]),
    ),
  );
  out.document({ ok: true, results });
  return 0;
}

function renderTime(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} minutes`;
}
