/** Where a command's words go: results to standard output, progress and errors to standard error. */
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import yoctoSpinner from "yocto-spinner";
import * as colors from "yoctocolors";

export interface Step {
  /** Replaces the text of the step while it works (shown on a terminal only). */
  update(text: string): void;
  done(text?: string): void;
  fail(text?: string): void;
}

export interface Output {
  /** True when standard output has to hold one JSON document and nothing else. */
  readonly json: boolean;
  /** A line of the result. With --json it goes to standard error. */
  line(text?: string): void;
  /** The result as a JSON document; ignored without --json. */
  document(value: unknown): void;
  /** A remark for the person: standard error. */
  note(text: string): void;
  /** Begins a piece of work: a spinner on a terminal, one plain line per outcome elsewhere. */
  step(text: string): Step;
}

/** An output on the process' own streams. */
export function processOutput(json: boolean): Output {
  return {
    json,
    line: (text = "") => writeLine(json ? process.stderr : process.stdout, text),
    document: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note: (text) => process.stderr.write(`${text}\n`),
    step: process.stderr.isTTY ? spinnerStep : plainStep,
  };
}

/** Colours are for terminals; yoctocolors asks the environment only, and not where the text goes. */
function writeLine(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${stream.isTTY ? text : stripVTControlCharacters(text)}\n`);
}

function spinnerStep(text: string): Step {
  const spinner = yoctoSpinner({ text, stream: process.stderr }).start();
  return {
    update: (next) => {
      spinner.text = next;
    },
    done: (last) => spinner.success(last ?? text),
    fail: (last) => spinner.error(last ?? text),
  };
}

function plainStep(text: string): Step {
  return {
    update: () => {},
    done: (last) => process.stderr.write(`ok    ${last ?? text}\n`),
    fail: (last) => process.stderr.write(`FAIL  ${last ?? text}\n`),
  };
}

/** Renders rows as a table whose columns are as wide as their longest cell. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const render = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [colors.bold(render(head)), ...rows.map(render)].join("\n");
}
