/** From what was written, on the command line and in the file, to a checked configuration. */
import * as v from "valibot";
import { KitError, type Problem } from "../errors.ts";
import { options } from "./flags.ts";
import { type RelayConfig, relayConfigSchema } from "./schema.ts";

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
  // Whoever writes our file has no old habits to be kept: what is not known is not let in.
  const closed = { verifyClientUrlFailOpen: false };
  const written = fileText === undefined ? {} : { ...closed, ...parseObject(fileText, file) };
  const result = v.safeParse(relayConfigSchema, { ...written, ...flags });
  if (result.success) return result.output;
  throw new KitError("config-invalid", {
    where: file,
    message: "The relay's configuration has mistakes.",
    problems: result.issues.map(renderIssue),
    fix: "docs/relay-options.md describes each option.",
  });
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
  const flag = options.find(({ name }) => name === path)?.flag;
  if (flag === undefined) return { path, message: "is not an option of the relay" };
  const missing = issue.input === undefined;
  return { path: `${path} (-${flag})`, message: missing ? "has to be given" : issue.message };
}
