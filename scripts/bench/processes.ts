/** Programs that end with this one, whatever ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { text } from "node:stream/consumers";
import { RunFailed } from "./derpbench.ts";

/** What is kept of a program's standard error. */
const keptCharacters = 4_000;

/** Programs that run. A second Ctrl-C, which ends this process at once, takes them along. */
const alive = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export interface Program extends AsyncDisposable {
  readonly process: ChildProcess;
  /** The end of what it wrote to standard error. */
  readonly log: () => string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What its standard output is read for; it is thrown away by default. */
  readonly output?: "pipe" | "ignore";
}

/** Starts a program, which is killed when it is disposed of. */
export function startProgram(
  [program = "", ...args]: readonly string[],
  { cwd, env, output = "ignore" }: ProgramOptions = {},
): Program {
  // A process group of its own: a Ctrl-C of the terminal reaches us alone, and the run ends in order.
  const child = spawn(program, args, { cwd, env, stdio: ["pipe", output, "pipe"], detached: true });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  child.on("error", () => alive.delete(child)); // It could not be started: `finished` sees it.
  child.stdin?.on("error", () => {}); // It ended before it read what it was told.
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    log = (log + piece).slice(-keptCharacters);
  });
  return {
    process: child,
    log: () => log,
    async [Symbol.asyncDispose]() {
      if (hasEnded(child)) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output
 * @throws RunFailed with the last line of its standard error if it fails; the signal's reason if that aborts first
 */
export async function runProgram(
  command: readonly string[],
  signal: AbortSignal,
  options: Omit<ProgramOptions, "output"> = {},
): Promise<string> {
  await using program = startProgram(command, { ...options, output: "pipe" });
  const { process: child, log } = program;
  child.stdin?.end();
  const kill = (): boolean => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  try {
    const output = child.stdout === null ? "" : text(child.stdout);
    const [status]: unknown[] = await once(child, "close");
    signal.throwIfAborted();
    if (status !== 0)
      throw new RunFailed(lastLine(log()) ?? `the program ended with status ${String(status)}`);
    return await output;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** True once a program has ended, or could not be started. */
export function hasEnded({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null || pid === undefined;
}

function lastLine(log: string): string | undefined {
  return log.trimEnd().split("\n").at(-1) || undefined;
}
