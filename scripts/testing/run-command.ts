/** Runs a command as the dispatcher does, and notes what it says. */
import assert from "node:assert/strict";
import { KitError, renderError } from "../../relay/errors.ts";
import { type Command, parseCommandLine } from "../cli/command.ts";

export interface Ran {
  readonly status: number;
  /** The lines of the result. */
  readonly text: string;
  readonly notes: readonly string[];
  /** With and without --json. */
  readonly document: Readonly<Record<string, unknown>>;
}

export async function runCommand(
  command: Command,
  args: readonly string[],
  signal: AbortSignal,
  updated: (text: string) => void = () => {},
): Promise<Ran> {
  const [lines, notes]: [string[], string[]] = [[], []];
  let document = {};
  const out = {
    json: args.includes("--json"),
    line: (text = "") => void lines.push(text),
    document: (value: unknown) => {
      document = Object(value);
    },
    note: (text: string) => void notes.push(text),
    step: () => ({ update: updated, done: () => {}, fail: () => {} }),
  };
  const status = await command.run({ ...parseCommandLine(command, args), out, signal });
  return { status, text: lines.join("\n"), notes, document };
}

/** What a person is shown of a failure. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KitError, String(error));
  return renderError(error);
}
