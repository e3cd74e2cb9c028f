/** The tests that are named by a statement about derper, or by a difference from it: `62. Given an idle connection, then …`. */
import { globSync, readFileSync } from "node:fs";
import path from "node:path";

export interface NumberedTest {
  /** Statements or differences that it proves, as the title begins: `62`, `Q3`. */
  readonly numbers: readonly string[];
  /** The title without them. */
  readonly sentence: string;
  readonly title: string;
  /** From the root of the project, with slashes. */
  readonly file: string;
}

/** A call whose first argument is a string, or several that are added up. */
const stringPattern = String.raw`"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'`;
const callPattern = new RegExp(
  String.raw`\b\w+\(\s*((?:${stringPattern})(?:\s*\+\s*(?:${stringPattern}))*)`,
  "g",
);
const titlePattern = /^(Q?\d+(?:, Q?\d+)*)\. (.+)$/s;
const templatePattern = /\b\w+\(\s*`Q?\d+(?:, Q?\d+)*\. /;

/**
 * Finds the numbered tests of a file.
 *
 * @throws Error for a title that is made while the tests run: nobody could find it by its words, and neither could this
 */
export function findNumberedTests(file: string, source: string): NumberedTest[] {
  const [made] = templatePattern.exec(source) ?? [];
  if (made !== undefined) throw new Error(`${file}: the title of a numbered test is a plain string: ${made}`);
  return [...source.matchAll(callPattern)].flatMap(([, argument = ""]) => {
    const title = evaluate(argument);
    const [, numbers, sentence] = titlePattern.exec(title) ?? [];
    if (numbers === undefined || sentence === undefined) return [];
    return [{ numbers: numbers.split(", "), sentence, title, file }];
  });
}

/** Reads every test that can prove something about a relay. */
export function readNumberedTests(root: string): NumberedTest[] {
  const files = globSync("{interop,relay}/**/*.test.ts", { cwd: root })
    .map((file) => file.replaceAll(path.sep, "/"))
    .sort();
  return files.flatMap((file) => findNumberedTests(file, readFileSync(path.join(root, file), "utf8")));
}

/** What strings that are added up give. */
function evaluate(argument: string): string {
  return [...argument.matchAll(new RegExp(stringPattern, "g"))]
    .map(([literal]) => literal.slice(1, -1).replaceAll(/\\(.)/g, unescapeCharacter))
    .join("");
}

function unescapeCharacter(_whole: string, character: string): string {
  return { n: "\n", r: "\r", t: "\t", "0": "\0" }[character] ?? character;
}
