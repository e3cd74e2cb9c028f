/** A reporter for `node --test`: one JSON document per test, for programs that read what became of each. */
import path from "node:path";
import process from "node:process";
import type { TestEvent } from "node:test/reporters";
import type { TestResult } from "./results.ts";

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const results: Mutable<TestResult>[] = [];
  // Names of the suites around, as the runner reports in the order of definition.
  const names: string[] = [];
  for await (const { type, data } of events) {
    if (type === "test:start") names.splice(data.nesting, Infinity, data.name);
    if (type === "test:diagnostic" && data.file !== undefined) results.at(-1)?.notes.push(data.message);
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details.type === "suite") continue;
    results.push({
      file: relative(data.file ?? ""),
      names: [...names.slice(0, data.nesting), data.name],
      runtime: "node",
      passed: type === "test:pass",
      skip: reason(data.skip),
      todo: reason(data.todo),
      notes: [],
      fault: type === "test:pass" ? undefined : describeFault(data.details.error),
    });
  }
  for (const result of results) yield `${JSON.stringify(result)}\n`;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

function relative(file: string): string {
  return path.relative(process.cwd(), file).replaceAll(path.sep, "/");
}

function reason(mark: string | boolean | undefined): string | undefined {
  if (mark === undefined || mark === false) return undefined;
  return mark === true ? "" : mark;
}

/** Node wraps what a test has thrown. */
function describeFault(error: Error): TestResult["fault"] {
  const { cause = error } = error;
  return cause instanceof Error
    ? { name: cause.name, message: cause.message }
    : { name: "", message: String(cause) };
}
