/** The relay's command line, in Go's syntax: one or two dashes, `-x=v` or `-x v`; a boolean is set false by `-x=false`. */
import * as v from "valibot";
import { KitError } from "../errors.ts";
import { type OptionNotes, relayConfigSchema } from "./schema.ts";

/** What a command line asks for. */
export interface CommandLine {
  /** `-config`: path of the config file. */
  readonly config: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
  /** The options that were given, by their name in the config file. Only their syntax is checked. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** One option of the relay, as the schema describes it. */
export interface Option extends OptionNotes {
  /** Name in the config file. */
  readonly name: string;
  readonly kind: "boolean" | "number" | "string";
  readonly description: string;
  /** Undefined if the option has to be given. */
  readonly defaultValue: string | number | boolean | undefined;
}

/** Every option, in the schema's order. */
export const options: readonly Option[] = Object.entries(relayConfigSchema.entries).map(([name, entry]) => {
  const notes = v.getMetadata(entry) as unknown as OptionNotes;
  const inner = entry.type === "optional" ? entry.wrapped : entry;
  const kind = inner.type === "boolean" || inner.type === "number" ? inner.type : "string";
  const defaultValue = entry.type === "optional" ? entry.default : undefined;
  return { ...notes, name, kind, description: v.getDescription(entry) ?? "", defaultValue };
});

/**
 * Reads a command line.
 *
 * @param args without the program's name
 * @throws KitError `usage`
 */
export function parseFlags(args: readonly string[]): CommandLine {
  const given: Record<string, unknown> = {};
  let [config, help, version]: [string | undefined, boolean, boolean] = [undefined, false, false];
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined && word !== "--"; word = rest.shift()) {
    const [, flag = "", equals, inline = ""] = /^--?([^=-][^=]*)(=?)([^]*)$/.exec(word) ?? [];
    const value = (): string => {
      const text = equals === "=" ? inline : rest.shift();
      if (text === undefined) throw usage(`flag needs an argument: -${flag}`);
      return text;
    };
    const option = options.find((candidate) => candidate.flag === flag);
    if (flag === "") throw usage(`not a flag: ${word}`);
    else if (flag === "help" || flag === "h") help = true;
    else if (flag === "version") version = true;
    else if (flag === "config") config = value();
    else if (option === undefined) throw usage(`flag provided but not defined: -${flag}`);
    else if (option.kind === "boolean")
      given[option.name] = parseBoolean(flag, equals === "=" ? inline : "true");
    else given[option.name] = option.kind === "number" ? parseNumber(flag, value()) : value();
  }
  return { config, help, version, options: given };
}

/** Renders `-help`. */
export function renderUsage(): string {
  return [
    "Usage of relay.mjs:",
    "  -config string\n    \tJSON file with the options; a flag goes over the file [not in derper]",
    ...options.map(renderOption),
    "  -version\n    \tPrint the version and exit.",
  ].join("\n");
}

function renderOption({ flag, kind, description, defaultValue, ours = false }: Option): string {
  const value = kind === "boolean" ? "" : ` ${kind}`;
  const unless = defaultValue === undefined || defaultValue === "" ? "" : ` (default ${defaultValue})`;
  return `  -${flag}${value}\n    \t${description}${unless}${ours ? " [not in derper]" : ""}`;
}

// Go's strconv.ParseBool.
function parseBoolean(flag: string, text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw usage(`invalid boolean value "${text}" for -${flag}`);
}

function parseNumber(flag: string, text: string): number {
  if (!/^-?\d+$/.test(text)) throw usage(`invalid value "${text}" for flag -${flag}: not a whole number`);
  return Number(text);
}

function usage(message: string): KitError {
  return new KitError("usage", { message, fix: "relay.mjs -help lists the flags." });
}
