/** What became of tests, as `reporter.ts` and Bun write it. */

export interface TestResult {
  /** Where the test was registered, from the root of the project. */
  readonly file: string;
  /** From the outermost suite to the test itself. */
  readonly names: readonly string[];
  /** What the test itself ran on; a relay that it starts may run on another. */
  readonly runtime: "node" | "bun";
  readonly passed: boolean;
  /** Why it did not run. */
  readonly skip?: string | undefined;
  /** Why it may fail. */
  readonly todo?: string | undefined;
  /** What the test itself has said. */
  readonly notes: readonly string[];
  /** What it threw. */
  readonly fault?: { readonly name: string; readonly message: string } | undefined;
}

/** Parses what the reporter has written. */
export function parseReport(text: string): TestResult[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): TestResult => JSON.parse(line));
}

/** Parses what `bun test --reporter=junit` has written. */
export function parseBunReport(xml: string): TestResult[] {
  return [...xml.matchAll(testCase)].map(([, attributes = "", content = ""]) => ({
    file: attributeOf(attributes, "file"),
    names: [attributeOf(attributes, "name")],
    runtime: "bun",
    passed: !content.includes("<failure"),
    skip: content.includes("<skipped") ? "" : undefined,
    notes: [],
  }));
}

const testCase = /<testcase ((?:[^>"]|"[^"]*")*?)\s*(?:\/>|>([^]*?)<\/testcase>)/g;

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function attributeOf(attributes: string, name: string): string {
  const [, value = ""] = new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes) ?? [];
  return value.replaceAll(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, entity = "") =>
    code === undefined ? (entities[entity] ?? whole) : String.fromCodePoint(Number(code)),
  );
}
