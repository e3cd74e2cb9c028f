/** Finds and reads the file that `--stack` means, as Pulumi's CLI does and without it. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { type Document, parseDocument, type YAMLError } from "yaml";
import { isErrno, readIfThere, writeWhole } from "../../relay/config/files.ts";
import { KitError, type Problem } from "../../relay/errors.ts";

export interface StackFile {
  /** Names the stack's kept files: its name, with a suffix if the file lies elsewhere than in the project's root. */
  readonly stack: string;
  /** Absolute path. */
  readonly file: string;
  /** Folder of the project, where `.derpkit/` is. */
  readonly root: string;
  /** Top-level keys, with namespace, to values as Pulumi hands them to a program: text, JSON for a list or mapping. */
  readonly config: ReadonlyMap<string, string>;
  /** Keys whose value is a secret. It is not decrypted: `config` has a placeholder. */
  readonly secretKeys: ReadonlySet<string>;
}

/**
 * Finds and reads a stack file.
 *
 * @param stack a stack's name, for `Pulumi.<name>.yaml` in the project's root, or a path; undefined for `local`
 * @param cwd folder that the project is looked for from, and that a path is relative to
 * @throws KitError `stack-not-found`, `file-unreadable`, or `config-invalid` with line and column
 */
export async function resolveStack(stack = "local", cwd = process.cwd()): Promise<StackFile> {
  const root = findProject(cwd);
  const file = /[/\\]|\.ya?ml$/.test(stack) ? resolve(cwd, stack) : join(root, `Pulumi.${stack}.yaml`);
  const name = stackName(file);
  return {
    stack: dirname(file) === root ? name : `${name}-${digest(dirname(file))}`,
    file,
    root,
    ...(await readStackFile(file, stack)),
  };
}

/**
 * Reads a stack file.
 *
 * @param stack as it was asked for, for messages
 * @throws KitError `stack-not-found`, `file-unreadable`, or `config-invalid` with line and column
 */
export async function readStackFile(
  file: string,
  stack = file,
): Promise<Pick<StackFile, "config" | "secretKeys">> {
  return parseStackText(await readStack(file, stack), file);
}

/** Reads a stack file's text. @throws KitError `config-invalid` with line and column */
export function parseStackText(text: string, file: string): Pick<StackFile, "config" | "secretKeys"> {
  return readConfig(parseStack(text, file), file);
}

/**
 * Replaces a stack file as a whole, where a link leads, with the mode that it had.
 *
 * @throws KitError `file-unreadable`
 */
export async function replaceStackText(file: string, text: string): Promise<void> {
  try {
    const place = await realpath(file);
    await writeWhole(place, text, (await stat(place)).mode & 0o777);
  } catch (cause) {
    throw isErrno(cause) ? new KitError("file-unreadable", { where: file, cause }) : cause;
  }
}

/** A changed document as text. Long lines stay as they are, and so do lists that are on one. @param former its text before */
export function renderStackText(document: Document, former: string): string {
  return document.toString({ lineWidth: 0, flowCollectionPadding: !/[[{]\S/.test(former) });
}

/** The nearest folder upwards with a Pulumi.yaml; else the kit's own, if it is a checkout; else the given one. */
export function findProject(cwd = process.cwd()): string {
  return nearestProject(cwd) ?? nearestProject(import.meta.dirname) ?? cwd;
}

function nearestProject(folder: string): string | undefined {
  if (existsSync(join(folder, "Pulumi.yaml"))) return folder;
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestProject(parent);
}

/** The name becomes part of paths, so it is held to Pulumi's rule for stack names. */
function stackName(file: string): string {
  const name = basename(file)
    .replace(/\.ya?ml$/, "")
    .replace(/^Pulumi\./, "");
  if (/^[a-z0-9][\w.-]{0,99}$/i.test(name)) return name;
  throw new KitError("stack-not-found", {
    message:
      "A stack's name begins with a letter or digit and goes on with letters, digits, '.', '_' and '-'.",
    where: file,
    fix: "Give --stack another name or file.",
  });
}

async function readStack(file: string, stack: string): Promise<string> {
  const text = await readIfThere(file);
  if (text !== undefined) return text;
  throw new KitError("stack-not-found", {
    message: `There is no stack file for --stack ${stack}.`,
    where: file,
  });
}

function parseStack(text: string, file: string): Document {
  // Merge keys (<<) as the engine's parser has them; no warnings on standard error.
  const document = parseDocument(text, { merge: true, logLevel: "error" });
  if (document.errors.length === 0) return document;
  throw new KitError("config-invalid", {
    message: "The stack file is not valid YAML.",
    where: file,
    // A broken file can have an error in every character; the first few say what is wrong.
    problems: document.errors.slice(0, 10).map((error) => renderYamlError(error, file)),
  });
}

function renderYamlError({ code, message, linePos }: YAMLError, file: string): Problem {
  const start = linePos?.[0];
  const [sentence = message] = (sentences[code] ?? message).split(/ at line \d+|\n/);
  return { path: `${basename(file)}:${start?.line ?? 1}:${start?.col ?? 1}`, message: sentence };
}

/** Where the library speaks to its caller, and not to who wrote the file. */
const sentences: Partial<Readonly<Record<YAMLError["code"], string>>> = {
  MULTIPLE_DOCS: "A stack file is one document; remove the line ---",
  RESOURCE_EXHAUSTION: "Lists and mappings are nested too deeply",
};

function readConfig(document: Document, file: string): Pick<StackFile, "config" | "secretKeys"> {
  const { config: section = {} } = membersOf(toJavaScript(document, file), "the file", file);
  const config = new Map<string, string>();
  const secretKeys = new Set<string>();
  for (const [written, value] of Object.entries(membersOf(section, "config", file))) {
    // As in Pulumi, a key without a namespace is the project's own.
    const key = written.includes(":") ? written : `derpkit:${written}`;
    if (config.has(key)) throw givenTwice(key, file);
    if (isSecret(value)) secretKeys.add(key);
    config.set(key, isSecret(value) ? "[secret]" : renderValue(value));
  }
  return { config, secretKeys };
}

/** Resolves anchors. The YAML library limits how they multiply; JSON shows whether one contains itself. */
function toJavaScript(document: Document, file: string): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    JSON.stringify(value);
    return value;
  } catch (error) {
    const message = error instanceof ReferenceError ? error.message : "An anchor contains itself";
    throw new KitError("config-invalid", {
      message: "The stack file's anchors cannot be resolved.",
      where: file,
      problems: [{ path: basename(file), message }],
    });
  }
}

function membersOf(value: unknown, what: string, where: string): Readonly<Record<string, unknown>> {
  if (value === null || value === undefined) return {};
  if (typeof value === "object" && !Array.isArray(value)) return { ...value };
  throw new KitError("config-invalid", { message: `In a stack file, ${what} has to be a mapping.`, where });
}

/** The engine takes one of the two, and not always the same. */
function givenTwice(key: string, where: string): KitError {
  return new KitError("config-invalid", {
    where,
    problems: [{ path: key, message: "is given twice, with its namespace and without; keep one" }],
  });
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).join() === "secure";
}

function renderValue(value: unknown): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
