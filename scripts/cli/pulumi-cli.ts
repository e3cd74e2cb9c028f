/** The user's own Pulumi CLI: how it is started, what a stack exports, and its secrets, which it alone can read and write. */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { delimiter, dirname } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import { namespace } from "../../infra/config/path.ts";
import { isErrno } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import type { StackFile } from "./stack-file.ts";

/** The exit status, or the signal that ended it. */
type Ending = readonly [status: number | null, signal: NodeJS.Signals | null];

export interface PulumiProcess {
  readonly child: ChildProcess;
  /** @throws KitError `pulumi-missing` */
  readonly ended: Promise<Ending>;
}

/** Starts the CLI. */
export function spawnPulumi(args: readonly string[], options: SpawnOptions): PulumiProcess {
  const child = spawn("pulumi", args, options);
  return { child, ended: ending(child) };
}

/**
 * Starts the CLI for what runs a stack's program, which then runs on the kit's Node.js: the language host takes the `node` that
 * is first in PATH.
 *
 * @param stop a terminal signals the CLI as well, and at a second SIGINT it abandons its work; a supervisor's SIGTERM comes here only
 */
export function spawnForProgram(
  args: readonly string[],
  { env = process.env, ...options }: SpawnOptions,
  stop: AbortSignal,
): PulumiProcess {
  const PATH = [dirname(process.execPath), env["PATH"] ?? ""].join(delimiter);
  const started = spawnPulumi(args, { ...options, env: { ...env, PATH } });
  stop.addEventListener("abort", () => stop.reason === "SIGTERM" && started.child.kill("SIGTERM"));
  return started;
}

async function ending(child: ChildProcess): Promise<Ending> {
  try {
    const [status, signal] = await once(child, "close");
    return [status, signal];
  } catch (cause) {
    throw isErrno(cause, "ENOENT") ? new KitError("pulumi-missing") : cause;
  }
}

/** The secrets of a stack, by their names without namespace. Each step is whole or did not happen. */
export interface SecretConfig {
  /** The value of one that is there. */
  read(name: string): Promise<string>;
  write(name: string, value: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/**
 * The secrets of a stack by way of Pulumi's CLI, which keeps them in the stack file. Values go through pipes only: command
 * lines are for everybody on the machine to read.
 *
 * Each function throws KitError `pulumi-missing`, or `pulumi-failed` with what the CLI says.
 *
 * @throws KitError `usage` if the stack is none that the CLI could know
 */
export function openSecretConfig(stackFile: StackFile): SecretConfig {
  requireOwnFile(stackFile, "A stack's secrets are");
  const run = async (verb: string, args: readonly string[], input?: string): Promise<string> => {
    const { said, stdout } = await runOnStack(stackFile, ["config", verb], args, input);
    if (said === undefined) return stdout;
    throw failed(stackFile, `config ${verb}`, said);
  };
  return {
    read: async (name) => (await run("get", [namespace + name])).replace(/\r?\n$/, ""),
    write: async (name, value) => void (await run("set", ["--secret", namespace + name], value)),
    remove: async (name) => void (await run("rm", [namespace + name])),
  };
}

/**
 * What the stack's last `up` exported, by names. Values that are secrets read `[secret]`.
 *
 * @returns undefined for a stack that the CLI does not know; nothing in it before the first `up`
 * @throws KitError `pulumi-missing`, `pulumi-failed` with what the CLI says, `usage` if it could not know the stack
 */
export async function readStackOutputs(
  stackFile: StackFile,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  requireOwnFile(stackFile, "A stack that Pulumi knows is");
  const { said, stdout } = await runOnStack(stackFile, ["stack", "output"], ["--json"]);
  if (said === undefined) return { ...Object(JSON.parse(stdout)) };
  if (isUnknown(said)) return undefined;
  throw failed(stackFile, "stack output", said);
}

/** @param what as the beginning of a sentence */
function requireOwnFile({ file, root }: StackFile, what: string): void {
  if (dirname(file) === root) return;
  throw new KitError("usage", {
    where: file,
    message: `${what} in Pulumi.<name>.yaml in the project's folder, ${root}; this file is elsewhere.`,
    fix: "Give --stack the name of a stack.",
  });
}

/** @returns `said` only if it failed: the CLI's own words */
async function runOnStack(
  { stack, root }: StackFile,
  command: readonly string[],
  args: readonly string[],
  input?: string,
): Promise<{ readonly said: string | undefined; readonly stdout: string }> {
  const all = [...command, ...args, "--stack", stack, "--non-interactive"];
  const { status, stdout, stderr } = await runPulumi(all, root, input);
  return { said: status === 0 ? undefined : whatItSays(stderr, input), stdout };
}

function failed({ stack }: StackFile, command: string, said: string): KitError {
  return new KitError("pulumi-failed", {
    where: `stack ${stack}`,
    message: `\`pulumi ${command}\` failed: ${said}`,
    ...adviceFor(said, stack),
  });
}

function isUnknown(said: string): boolean {
  return said.includes("no stack named");
}

interface Finished {
  /** Null if a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function runPulumi(args: readonly string[], cwd: string, input: string | undefined): Promise<Finished> {
  const { child, ended } = spawnPulumi(args, {
    cwd,
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  // A program that ends without reading says why by its exit status.
  child.stdin?.on("error", () => {}).end(input);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the CLI was started without pipes");
  const [[status], out, err] = await Promise.all([ended, text(stdout), text(stderr)]);
  return { status, stdout: out, stderr: err };
}

/** The CLI's own words for what went wrong. It does not repeat what it was given; should it ever, that is left out. */
export function whatItSays(stderr: string, input?: string): string {
  const plain = stripVTControlCharacters(stderr);
  const lines = plain.split("\n").filter((line) => line.startsWith("error: "));
  const words = lines.length === 0 ? plain : lines.map((line) => line.slice("error: ".length)).join("; ");
  const open = input === undefined ? words : words.replaceAll(input, "[secret]");
  return open.replaceAll(/\s+/g, " ").trim().slice(0, 500) || "it says nothing";
}

function adviceFor(said: string, stack: string): { readonly fix?: string } {
  if (isUnknown(said)) return { fix: `Make the stack with \`pulumi stack init ${stack}\`.` };
  if (/passphrase/.test(said)) {
    return {
      fix: "Set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the passphrase that the stack was made with.",
    };
  }
  if (/PULUMI_ACCESS_TOKEN|logged in|login/.test(said)) {
    return {
      fix: "Run `pulumi login`, or set PULUMI_BACKEND_URL or PULUMI_ACCESS_TOKEN, as for `pulumi up`.",
    };
  }
  return {};
}
