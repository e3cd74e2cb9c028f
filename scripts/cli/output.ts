/** Where a command's words go: results to standard output, progress and errors to standard error. */
import process from "node:process";
import { stripVTControlCharacters, styleText } from "node:util";

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
  /** Begins a piece of work: a line on a terminal that changes while it works, and everywhere one for the outcome. */
  step(text: string): Step;
}

/** A stream that may be a terminal, as `process.stderr` is. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean;
  write(text: string): unknown;
}

/** An output on the process' own streams. */
export function processOutput(json: boolean): Output {
  return createOutput(json, process.stdout, process.stderr);
}

/** An output on given streams. */
export function createOutput(json: boolean, results: Terminal, remarks: Terminal): Output {
  const status = new StatusLine(remarks);
  const writeResult = (text: string): void => {
    if (json) status.write(text);
    else status.around(() => results.write(`${paintFor(results, text)}\n`));
  };
  return {
    json,
    line: (text = "") => writeResult(text),
    document: (value) => {
      if (json) results.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note: (text) => status.write(text),
    step: (text) => {
      status.show(text);
      const end = (mark: string, last: string): void => {
        status.show(undefined);
        status.write(`${mark}  ${last}`);
      };
      return {
        update: (next) => status.show(next),
        done: (last = text) => end(styleText("green", "ok  ", always), last),
        fail: (last = text) => end(styleText("red", "FAIL", always), last),
      };
    },
  };
}

/** The styles of this page. Whether they reach the stream is decided where the text is written. */
export const always = { validateStream: false } as const;

/** The last line of a terminal, which says what goes on. It steps aside for every other line. Elsewhere there is none. */
class StatusLine {
  readonly #terminal: Terminal;
  #text: string | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows a text in the place of the one before; undefined for none. */
  show(text: string | undefined): void {
    this.around(() => {
      this.#text = text;
    });
  }

  write(line: string): void {
    this.around(() => this.#terminal.write(`${paintFor(this.#terminal, line)}\n`));
  }

  /** Does something that may write lines while the status is out of the way. */
  around(work: () => void): void {
    const { isTTY = false, columns } = this.#terminal;
    if (isTTY && this.#text !== undefined) this.#terminal.write("\r\u001B[K");
    work();
    if (isTTY && this.#text !== undefined)
      this.#terminal.write(`…     ${this.#text}`.slice(0, (columns || 80) - 1));
  }
}

/** Colours are for terminals that have them, and whose user has not set NO_COLOR. */
function paintFor(stream: Terminal, text: string): string {
  return stream.isTTY === true && stream.hasColors?.() === true ? text : stripVTControlCharacters(text);
}

/**
 * Renders rows as a table whose columns are as wide as their longest cell.
 *
 * A cell may hold what a stranger's relay said: characters that a terminal would obey become replacement characters.
 */
export function renderTable(head: readonly string[], cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map((cell) => cell.replaceAll(/\p{C}/gu, "\uFFFD")));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const render = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [styleText("bold", render(head), always), ...rows.map(render)].join("\n");
}
