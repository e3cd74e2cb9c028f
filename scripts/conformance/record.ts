/** What became of the numbered tests when they last ran, as docs/conformance.json keeps it. */
import path from "node:path";
import { type NumberedTest } from "./numbered-tests.ts";
import { parseDifference } from "./repairs.ts";
import type { TestResult } from "./results.ts";

/** What a test can run against, or on. */
export const columns = ["derper", "node", "bun"] as const;
export type Column = (typeof columns)[number];

/** What the results were taken with. */
export type Versions = Readonly<Record<Column, string>>;

/** What is to be said of a test, for each column; and on whose other side derper was. */
export type Outcome = Readonly<Record<Column, string>> & { readonly differences: readonly string[] };

/** Tests that compare ours with derper, beyond the statements. */
export interface Comparison {
  readonly tests: number;
  readonly todo: number;
}

export interface ConformanceRecord {
  readonly versions: Versions;
  /** By file and title. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** By the name of the suite. */
  readonly comparisons: Readonly<Record<string, Comparison>>;
}

/** Stands where a test failed that no finding excuses. */
export const failedMark = "**FAILS**";

/** Where what no statement says is compared with derper, test by test. */
export const comparisonFolder = "interop/conformance";

/** What the record calls a test by. */
export function recordKey({ file, title }: NumberedTest): string {
  return `${file}: ${title}`;
}

/**
 * Sums up results by test. Those of cases come together, and those of a test that asks derper, Node and Bun are told apart
 * by name; what a test beside the code gave belongs to the runtime that it ran on.
 *
 * @throws Error if a test has no result
 */
export function buildRecord(
  tests: readonly NumberedTest[],
  results: readonly TestResult[],
  versions: Versions,
): ConformanceRecord {
  return {
    versions,
    outcomes: sortByKey(tests.map((test) => [recordKey(test), buildOutcome(test, results)])),
    comparisons: buildComparisons(results),
  };
}

/** Puts newer results over those of before. What is no test any more is forgotten. */
export function mergeRecords(
  before: ConformanceRecord,
  now: ConformanceRecord,
  tests: readonly NumberedTest[],
): ConformanceRecord {
  const keys = new Set(tests.map(recordKey));
  const outcomes = Object.entries({ ...before.outcomes, ...now.outcomes }).filter(([key]) => keys.has(key));
  return {
    versions: now.versions,
    outcomes: sortByKey(outcomes),
    comparisons: { ...before.comparisons, ...now.comparisons },
  };
}

function buildOutcome({ title, file }: NumberedTest, results: readonly TestResult[]): Outcome {
  // A helper may have registered it from a file of its own, beside the test's.
  const own = results.filter(
    (result) => result.names[0] === title && path.posix.dirname(result.file) === path.posix.dirname(file),
  );
  if (own.length === 0) throw new Error(`there is no result of ${file}: ${title}`);
  const cell = (column: Column): string => describe(own.filter((result) => columnOf(result) === column));
  return {
    derper: cell("derper"),
    node: cell("node"),
    bun: cell("bun"),
    differences: distinct(own.flatMap(differencesOf)),
  };
}

/** A test against several relays has one test in it for each, named by it. */
function columnOf({ names, runtime }: TestResult): Column {
  return columns.find((column) => column === names.at(-1)) ?? runtime;
}

function describe(results: readonly TestResult[]): string {
  if (results.length === 0) return "–";
  const skips = results.map(({ skip }) => skip).filter((skip) => skip !== undefined);
  if (skips.length === results.length) return listReasons("skipped", skips);
  const bad = results.filter(({ passed }) => !passed);
  if (bad.length > 0) return describeFailures(bad, results.length);
  const differences = distinct(results.flatMap(differencesOf));
  return differences.length === 0 ? "pass" : `differs (${differences.join(", ")})`;
}

function describeFailures(bad: readonly TestResult[], all: number): string {
  const todos = bad.map(({ todo }) => todo).filter((todo) => todo !== undefined);
  const what = listReasons(todos.length === bad.length ? "todo" : failedMark, todos);
  return bad.length === all ? what : `${all - bad.length} of ${all} pass; ${what}`;
}

function listReasons(kind: string, reasons: readonly string[]): string {
  const said = distinct(reasons.filter((reason) => reason !== ""));
  return said.length === 0 ? kind : `${kind}: ${said.join("; ")}`;
}

function differencesOf({ notes }: TestResult): string[] {
  return notes.map(parseDifference).filter((repair) => repair !== undefined);
}

function buildComparisons(results: readonly TestResult[]): Record<string, Comparison> {
  const own = results.filter(
    ({ file, names }) => path.posix.dirname(file) === comparisonFolder && !/^Q?\d/.test(names[0] ?? ""),
  );
  const suites = distinct(own.map(({ names }) => names[0] ?? ""));
  return Object.fromEntries(
    suites.map((name) => {
      const tests = own.filter(({ names }) => names[0] === name);
      return [name, { tests: tests.length, todo: tests.filter(({ passed }) => !passed).length }];
    }),
  );
}

/** In an order that does not depend on what ran when. */
function sortByKey<T>(entries: readonly (readonly [key: string, value: T])[]): Record<string, T> {
  return Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
