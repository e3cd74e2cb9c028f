/**
 * The relay's command line, in Go's syntax: one or two dashes, `-x=v` or `-x v`; a boolean is set false by `-x=false`.
 * The first word that is no flag ends it.
 */
import { resolve } from "node:path";
import * as v from "valibot";
import { KitError } from "../errors.ts";
import { parseDuration } from "./duration.ts";
import { parseGoBoolean, parseGoFloat, parseGoInt } from "./go-values.ts";
import { type OptionKind, type OptionNotes, type RelayConfig, relayConfigSchema } from "./schema.ts";

/** What a command line asks for. */
export interface CommandLine {
  /** `-config`: path of the config file. */
  readonly config: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
  /** The options that were given, by their name in the config file; paths are absolute. Only their syntax is checked. */
  readonly options: Readonly<Record<string, unknown>>;
  /**
   * The words from the first one on that is no flag. derper ignores them, with all flags among them; that happens where
   * a boolean's value is a word of its own: `-verify-clients true -a :8443`.
   */
  readonly ignored: readonly string[];
}

/** One option of the relay, as the schema describes it. */
export interface Option extends OptionNotes {
  /** Name in the config file. */
  readonly name: keyof RelayConfig;
  readonly kind: OptionKind;
  readonly description: string;
  /** Undefined if it depends on the surroundings. */
  readonly defaultValue: string | number | boolean | undefined;
}

const kinds: Readonly<Record<string, OptionKind>> = { boolean: "boolean", number: "int" };

/** Every option, in the schema's order. */
export const options: readonly Option[] = Object.entries(relayConfigSchema.entries).map(([name, entry]) => {
  const notes = v.getMetadata(entry) as unknown as OptionNotes;
  const kind = notes.kind ?? kinds[entry.wrapped.type] ?? "string";
  return {
    ...notes,
    name: name as keyof RelayConfig,
    kind,
    description: v.getDescription(entry) ?? "",
    defaultValue: entry.default,
  };
});

/**
 * Reads a command line.
 *
 * @param args without the program's name
 * @param workingDirectory where relative paths start, as with any program
 * @throws KitError `usage`
 */
export function parseFlags(args: readonly string[], workingDirectory: string): CommandLine {
  const given: Record<string, unknown> = {};
  const rest = [...args];
  while (isFlag(rest[0])) {
    const word = rest.shift() ?? "";
    if (word === "--") break;
    const [, flag = "", equals, inline] = /^--?([^=-][^=]*)(=?)([^]*)$/.exec(word) ?? [];
    if (flag === "") throw usage(`bad flag syntax: ${word}`);
    const option = options.find((candidate) => candidate.flag === flag);
    const kind = option?.kind ?? ownFlags[flag];
    if (kind === undefined) throw usage(`flag provided but not defined: -${flag}`);
    const alone = kind === "boolean" ? "true" : undefined;
    const text = equals === "=" ? inline : (alone ?? rest.shift());
    if (text === undefined) throw usage(`flag needs an argument: -${flag}`);
    const value = parseValue(kind, flag, text);
    given[option?.name ?? flag] = kind === "path" && text !== "" ? resolve(workingDirectory, text) : value;
  }
  const { config, version, help, h, ...others } = given;
  return {
    config: typeof config === "string" ? config : undefined,
    help: help === true || h === true,
    version: version === true,
    options: others,
    ignored: rest,
  };
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

function renderOption({
  flag,
  kind,
  description,
  defaultValue,
  default: words,
  ours = false,
}: Option): string {
  const type = kind === "path" ? "string" : kind;
  const value = type === "boolean" ? "" : ` ${type}`;
  const unset = defaultValue === undefined || defaultValue === "" || defaultValue === false;
  const shown = words ?? (typeof defaultValue === "string" ? JSON.stringify(defaultValue) : defaultValue);
  const unless = words === undefined && unset ? "" : ` (default ${shown})`;
  return `  -${flag}${value}\n    \t${description}${unless}${ours ? " [not in derper]" : ""}`;
}

/** Those that are not options of the relay. */
const ownFlags: Readonly<Record<string, OptionKind>> = {
  config: "path",
  version: "boolean",
  help: "boolean",
  h: "boolean",
};

/** As Go, to whom a single dash is a word like any other. */
function isFlag(word: string | undefined): boolean {
  return word !== undefined && word.length > 1 && word.startsWith("-");
}

const parsers: Readonly<Record<OptionKind, (text: string) => unknown>> = {
  boolean: parseGoBoolean,
  int: parseGoInt,
  float: parseGoFloat,
  // The schema reads it again: in the file too it is text.
  duration: (text) => (parseDuration(text) === undefined ? undefined : text),
  path: String,
  string: String,
};

function parseValue(kind: OptionKind, flag: string, text: string): unknown {
  const value = parsers[kind](text);
  if (value !== undefined) return value;
  const what = kind === "boolean" ? "invalid boolean value" : "invalid value";
  throw usage(`${what} ${JSON.stringify(text)} for flag -${flag}: parse error`);
}

function usage(message: string): KitError {
  return new KitError("usage", { message, fix: "relay.mjs -help lists the flags." });
}
