/** What was measured, as docs/performance.json keeps it. Pure. */
import type { Values } from "./derpbench.ts";
import { type Case, cases } from "./cases.ts";
import { type Figure, judge, type Runtime, type ServerKind, serverKinds, type Verdict } from "./figures.ts";
import { median } from "./statistics.ts";

/** What figures depend on besides the programs. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  /** Which CPU the relay had to itself, and which the generator; undefined if they were not pinned. */
  readonly pinned: { readonly server: number; readonly generator: number } | undefined;
}

/** Of derper, Node.js and Bun. A program that was not there has no entry. */
export type Versions = Readonly<Partial<Record<ServerKind, string>>>;

/** What a relay's runs of a case gave. */
export interface Outcome {
  /** One entry a round. */
  readonly rounds: readonly Values[];
  /** Why there are fewer than there should be, as a clause. */
  readonly failure?: string;
}

export interface CaseResult {
  /** The day, as in 2026-01-31. */
  readonly date: string;
  /** Version of the relay of ours. */
  readonly relay: string;
  readonly outcomes: Readonly<Partial<Record<ServerKind, Outcome>>>;
}

export interface BenchRecord {
  readonly machine: Machine;
  readonly versions: Versions;
  /** As typed by who took them. */
  readonly commands: readonly string[];
  /** By the case's name. */
  readonly cases: Readonly<Record<string, CaseResult>>;
}

/** A figure of a case: its medians, and whether they are good enough. */
export interface Row {
  readonly of: Case;
  readonly figure: Figure;
  readonly values: Readonly<Partial<Record<ServerKind, number>>>;
  readonly failures: Readonly<Partial<Record<ServerKind, string>>>;
  /** True where the generator had no CPU left: the relay could perhaps have done more. */
  readonly limited: Readonly<Partial<Record<ServerKind, boolean>>>;
  /** Of the default runtime. */
  readonly verdict: Verdict;
}

/** CPUs that a pinned generator uses when it can do no more. */
const busyGenerator = 0.95;

/** The figures of every case that was measured, in the order of the list of cases. */
export function listRows(record: BenchRecord, runtime: Runtime): Row[] {
  return cases.flatMap((of) => {
    const result = record.cases[of.name];
    return result === undefined ? [] : of.figures.map((figure) => buildRow(of, figure, result, runtime));
  });
}

/**
 * Puts newer results over those of before. What is no case any more is forgotten.
 *
 * @returns undefined if machine or versions differ: figures of both cannot stand in one table
 */
export function mergeRecords(before: BenchRecord, now: BenchRecord): BenchRecord | undefined {
  const same =
    JSON.stringify(before.machine) === JSON.stringify(now.machine) &&
    serverKinds.every((kind) => {
      const [one, other] = [before.versions[kind], now.versions[kind]];
      return one === undefined || other === undefined || one === other;
    });
  if (!same) return undefined;
  // A case that was taken anew is all new: its relays are compared with each other.
  const merged = cases.flatMap(({ name }) => {
    const result = now.cases[name] ?? before.cases[name];
    return result === undefined ? [] : [[name, result] as const];
  });
  return {
    machine: now.machine,
    versions: { ...before.versions, ...now.versions },
    commands: [...new Set([...before.commands, ...now.commands])],
    cases: Object.fromEntries(merged),
  };
}

function buildRow(of: Case, figure: Figure, { outcomes }: CaseResult, runtime: Runtime): Row {
  const values: Partial<Record<ServerKind, number>> = {};
  const failures: Partial<Record<ServerKind, string>> = {};
  const limited: Partial<Record<ServerKind, boolean>> = {};
  for (const kind of serverKinds) {
    const { rounds, failure } = outcomes[kind] ?? { rounds: [] };
    const value = medianOf(rounds, figure.value);
    if (failure !== undefined) failures[kind] = failure;
    else if (value !== undefined) values[kind] = value;
    if (figure.unit === "packets/s" && (medianOf(rounds, "generator") ?? 0) >= busyGenerator)
      limited[kind] = true;
  }
  const judged = judge(figure, runtime, values);
  // Who did not get through the work has not reached what is asked.
  const verdict = judged === "unmeasured" && failures[runtime] !== undefined ? "missed" : judged;
  return { of, figure, values, failures, limited, verdict };
}

function medianOf(rounds: readonly Values[], name: string): number | undefined {
  const own = rounds.map((round) => round[name]).filter((value) => value !== undefined);
  return own.length === 0 ? undefined : median(own);
}
