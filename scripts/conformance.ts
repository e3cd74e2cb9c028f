/** `npm run conformance`: runs the numbered tests, those that take real time too, and keeps their results. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { type NumberedTest, readNumberedTests } from "./conformance/numbered-tests.ts";
import { askVersion, findProgram, whyNotFound } from "./conformance/programs.ts";
import {
  buildRecord,
  comparisonFolder,
  type ConformanceRecord,
  failedMark,
  mergeRecords,
} from "./conformance/record.ts";
import { parseBunReport, parseReport, type TestResult } from "./conformance/results.ts";
import { isOutside, listStatements } from "./conformance/statements.ts";
import { recordFile, renderConformanceDocs } from "./docs/conformance.ts";
import { testArguments } from "./test.ts";

const root = path.join(import.meta.dirname, "..");
const page = "docs/conformance.md";
const reporter = "scripts/conformance/reporter.ts";

export const command: Command = {
  name: "conformance",
  summary: "Run the numbered tests against derper and ours, and write docs/conformance.md.",
  usage: "[FILE]...",
  about:
    "It needs derper (DERPKIT_TAILNET_CHECK) and Bun (DERPKIT_BUN), and takes some minutes. Files of tests limit it to\n" +
    "these; the other results stay as they are.",
  flags: {},
  positionals: true,
  run,
};

async function run({ positionals, out, signal }: CommandContext): Promise<ExitStatus> {
  const [derper, bun] = [findProgram("derper"), findProgram("bun")];
  if (derper === undefined || bun === undefined) {
    out.note(derper === undefined ? whyNotFound.derper : whyNotFound.bun);
    return 2;
  }
  const versions = {
    derper: await askVersion(derper, "-version"),
    node: process.versions.node,
    bun: await askVersion(bun, "--version"),
  };
  const before = await readRecord();
  const partly = positionals.length > 0;
  if (partly && JSON.stringify(before?.versions) !== JSON.stringify(versions)) {
    out.note(`the results are not of ${Object.values(versions).join(", ")}: all have to be taken anew`);
    return 2;
  }
  const all = listStatements(readNumberedTests(root)).map(({ test }) => test);
  const tests = all.filter(({ file }) => !partly || positionals.includes(file));
  const places = partly ? positionals : [comparisonFolder, ...outsideOf(comparisonFolder, filesOf(tests))];
  const reports = await mkdtemp(path.join(tmpdir(), "derpkit-conformance-"));
  try {
    const onNode = await runOnNode(places, path.join(reports, "node"), signal);
    const beside = filesOf(tests.filter((test) => !isOutside(test)));
    const onBun = beside.length === 0 ? [] : await runOnBun(bun, beside, path.join(reports, "bun"), signal);
    const now = buildRecord(tests, [...onNode, ...onBun], versions);
    await writeRecord(partly && before !== undefined ? mergeRecords(before, now, all) : now);
  } finally {
    await rm(reports, { recursive: true });
  }
  const text = renderConformanceDocs();
  await writeFile(path.join(root, page), text);
  out.line(`wrote ${recordFile} and ${page}`);
  const ok = !text.includes(failedMark);
  out.document({ ok, page });
  return ok ? 0 : 1;
}

function filesOf(tests: readonly NumberedTest[]): string[] {
  return [...new Set(tests.map(({ file }) => file))];
}

function outsideOf(folder: string, files: readonly string[]): string[] {
  return files.filter((file) => !file.startsWith(`${folder}/`));
}

async function readRecord(): Promise<ConformanceRecord | undefined> {
  const text = await readFile(path.join(root, recordFile), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as ConformanceRecord);
}

async function writeRecord(record: ConformanceRecord): Promise<void> {
  await writeFile(path.join(root, recordFile), `${JSON.stringify(record, null, 2)}\n`);
}

/** Runs test files with `node --test`; the tests themselves start the relays of each kind. */
async function runOnNode(
  places: readonly string[],
  report: string,
  signal: AbortSignal,
): Promise<TestResult[]> {
  const options = [
    "--test-reporter-destination=stderr",
    `--test-reporter=./${reporter}`,
    `--test-reporter-destination=${report}`,
  ];
  const env = { ...process.env, DERPKIT_SLOW: "1" };
  await finish(process.execPath, testArguments([...options, ...places]), signal, env);
  return parseReport(await readFile(report, "utf8"));
}

/** Runs tests beside the code, where no relay is started, on Bun itself. */
async function runOnBun(
  bun: string,
  files: readonly string[],
  report: string,
  signal: AbortSignal,
): Promise<TestResult[]> {
  const paths = files.map((file) => `./${file}`);
  await finish(bun, ["test", ...paths, "--reporter=junit", `--reporter-outfile=${report}`], signal);
  return parseBunReport(await readFile(report, "utf8"));
}

/** Runs a program to its end, whatever its exit status: a failed test fails it, and is in its report. */
async function finish(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  env = process.env,
): Promise<void> {
  // Standard output is for the result.
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", 2, 2] });
  const stop = (): boolean => child.kill("SIGTERM");
  signal.addEventListener("abort", stop);
  await once(child, "exit");
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
}
