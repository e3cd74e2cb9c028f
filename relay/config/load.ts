/** From what was written, on the command line and in the file, to a checked configuration. */
import * as v from "valibot";
import { KitError, type Problem } from "../errors.ts";
import { options } from "./flags.ts";
import { type RelayConfig, relayConfigSchema } from "./schema.ts";

/** Whoever writes our file has no old habits to be kept: its defaults lie in the state directory, and let nobody in. */
const fileDefaults = Object.fromEntries(
  options.flatMap(({ name, inFile = null }) => (inFile === null ? [] : [[name, inFile]])),
);
/** A file that forgets one of them would get another name's certificate, or none and plain HTTP. */
const demanded = options.filter(({ inFile }) => inFile === null);

/**
 * Checks a relay's options. A flag goes over the file, the file over the default.
 *
 * @param fileText the config file's content; undefined if there is none
 * @param file its path, for messages
 * @throws KitError `config-invalid` with every problem
 */
export function parseRelayConfig(
  fileText: string | undefined,
  flags: Readonly<Record<string, unknown>>,
  file = "flags",
): RelayConfig {
  const written = fileText === undefined ? {} : { ...fileDefaults, ...parseObject(fileText, file) };
  const given: Readonly<Record<string, unknown>> = { ...written, ...flags };
  const forgotten = fileText === undefined ? [] : demanded.filter(({ name }) => given[name] === undefined);
  const result = v.safeParse(relayConfigSchema, given);
  if (result.success && forgotten.length === 0) return result.output;
  throw invalidConfig(
    [
      ...forgotten.map(({ name }) => ({ path: renderPath(name), message: "has to be given" })),
      ...(result.issues ?? []).map(renderIssue),
    ],
    file,
  );
}

/** Options that have mistakes. @param file where they were written, if there is a file */
export function invalidConfig(problems: readonly Problem[], file?: string): KitError {
  return new KitError("config-invalid", {
    ...(file === undefined ? {} : { where: file }),
    message: "The relay's configuration has mistakes.",
    problems,
    fix: "docs/relay-options.md describes each option.",
  });
}

/** How a problem names an option: `certMode (-certmode)`. */
export function renderPath(name: keyof RelayConfig): string {
  return `${name} (-${options.find((option) => option.name === name)?.flag})`;
}

function parseObject(text: string, file: string): object {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new KitError("config-invalid", { where: file, message: "The file is not JSON.", cause });
  }
  if (typeof document === "object" && document !== null && !Array.isArray(document)) return document;
  throw new KitError("config-invalid", { where: file, message: "The file has to hold one JSON object." });
}

function renderIssue(issue: v.BaseIssue<unknown>): Problem {
  const path = v.getDotPath(issue) ?? "(all)";
  return isOption(path)
    ? { path: renderPath(path), message: issue.message }
    : { path, message: "is not an option of the relay" };
}

function isOption(path: string): path is keyof RelayConfig {
  return options.some(({ name }) => name === path);
}
