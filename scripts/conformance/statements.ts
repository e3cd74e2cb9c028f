/** The statements about derper, as far as they are not their tests: how many, in which groups, and which test stands for which. */
import type { NumberedTest } from "./numbered-tests.ts";

export const lastStatement = 122;

/** Each group with its first statement. */
export const statementGroups: readonly (readonly [first: number, name: string])[] = [
  [1, "Keys and framing"],
  [10, "HTTP and upgrade"],
  [34, "TLS"],
  [45, "Handshake"],
  [50, "Relaying"],
  [70, "Duplicates"],
  [78, "Mesh"],
  [95, "Admission"],
  [100, "Rate limits"],
  [105, "STUN"],
  [110, "Bootstrap DNS"],
  [114, "Debug, metrics, operations"],
];

/** A statement, or one part of it, and the test that stands for it. */
export interface StatementRow {
  readonly test: NumberedTest;
  /** The test's file, and those of further tests of the statement. */
  readonly files: readonly string[];
}

/**
 * Lists for each statement its tests from outside, by which derper is measured as well; for one that nobody sees from
 * outside, the tests beside the code.
 */
export function listStatements(tests: readonly NumberedTest[]): StatementRow[] {
  const rows = Array.from({ length: lastStatement }, (_, index) => rowsOf(`${index + 1}`, tests)).flat();
  // A test of several statements has one row.
  return rows.filter(({ test }, index) => rows.findIndex((row) => row.test === test) === index);
}

function rowsOf(number: string, tests: readonly NumberedTest[]): StatementRow[] {
  const all = tests.filter(({ numbers }) => numbers.includes(number));
  const outside = all.filter(isOutside);
  const shown = outside.length === 0 ? all : outside;
  const further = all.filter((test) => !shown.includes(test)).map(({ file }) => file);
  return shown.map((test, index) => ({
    test,
    files: index === 0 ? [test.file, ...new Set(further)] : [test.file],
  }));
}

/** Tells a test that meets relays as their clients do from one beside the code. */
export function isOutside({ file }: NumberedTest): boolean {
  return file.startsWith("interop/");
}
