/** What a command of the kit is, and how its command line is read. */
import { parseArgs } from "node:util";
import { KitError } from "../../relay/errors.ts";
import type { Output } from "./output.ts";

/** Exit status: 0 good, 1 found a problem, 2 could not run. */
export type ExitStatus = 0 | 1 | 2;

export interface Flag {
  readonly type: "string" | "boolean";
  /** May be given several times; the value is then an array. */
  readonly multiple?: boolean;
  readonly short?: string;
  /** What stands for the value in the help, for example `NAME`. */
  readonly value?: string;
  readonly help: string;
}

/** What every `run` receives besides its own flags. */
export interface CommandContext {
  readonly flags: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly positionals: readonly string[];
  readonly out: Output;
  /** Aborted by the first SIGINT or SIGTERM; the command then tidies up and returns. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Usage after the command's name, for example `[--stack NAME]`. */
  readonly usage: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** More lines for --help: what the command does, examples. */
  readonly about?: string;
  readonly positionals?: boolean;
  /** Arguments go to the program unread (for commands that hand them on). */
  readonly raw?: boolean;
  /** @returns the exit status: an `ExitStatus`, or that of the program that a raw command runs */
  run(context: CommandContext): Promise<number>;
}

/** Flags that every command has. */
export const commonFlags: Readonly<Record<string, Flag>> = {
  json: {
    type: "boolean",
    help: "one JSON document on standard output, with npm --silent before it; all else goes to standard error",
  },
  help: { type: "boolean", short: "h", help: "this text" },
};

/**
 * Reads a command's arguments.
 *
 * @throws KitError `usage` for an unknown flag, a missing value or a surplus argument
 */
export function parseCommandLine(
  command: Command,
  args: readonly string[],
): Pick<CommandContext, "flags" | "positionals"> {
  const options = Object.fromEntries(
    Object.entries({ ...commonFlags, ...command.flags }).map(([name, flag]) => [
      name,
      {
        type: flag.type,
        multiple: flag.multiple ?? false,
        ...(flag.short === undefined ? {} : { short: flag.short }),
      },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: command.positionals ?? false,
    });
    return { flags: values as CommandContext["flags"], positionals };
  } catch (cause) {
    throw new KitError("usage", {
      message: `derpkit ${command.name}: ${(cause as Error).message.split(". To specify")[0]}`,
      fix: `npm run ${command.name} -- --help shows what it takes.`,
    });
  }
}

/** Renders a command's help. */
export function renderHelp(command: Command): string {
  const flags = Object.entries({ ...command.flags, ...commonFlags }).map(([name, flag]) => {
    const short = flag.short === undefined ? "" : `-${flag.short}, `;
    return [
      `  ${short}--${name}${flag.type === "string" ? ` ${flag.value ?? "VALUE"}` : ""}`,
      flag.help,
    ] as const;
  });
  const width = Math.max(...flags.map(([left]) => left.length)) + 2;
  return [
    command.summary,
    "",
    `usage: npm ${command.name === "start" ? "start" : `run ${command.name}`} -- ${command.usage}`.trimEnd(),
    ...(command.about === undefined ? [] : ["", command.about]),
    "",
    ...flags.map(([left, help]) => left.padEnd(width) + help),
    "",
    "Exit status: 0 good, 1 found a problem, 2 could not run.",
  ].join("\n");
}
