/** The kit's command line: finds the command, reads its flags, turns its outcome into an exit status. */
import { constants } from "node:os";
import process from "node:process";
import { KitError, renderError } from "../relay/errors.ts";
import { type Command, parseCommandLine, renderHelp } from "./cli/command.ts";
import { processOutput } from "./cli/output.ts";

type Load = () => Promise<{ command: Command }>;

/** For who works on the kit; the published package has neither the sources nor the tools for them. */
const developing: Readonly<Record<string, Load>> = {
  bench: () => import("./bench.ts"),
  build: () => import("./build.ts"),
  check: () => import("./check.ts"),
  conformance: () => import("./conformance.ts"),
  docs: () => import("./docs.ts"),
  test: () => import("./test.ts"),
};

/** Each command is loaded when it is asked for, so that none waits for what another one needs. */
const commands: Readonly<Record<string, Load>> = {
  start: () => import("./start.ts"),
  plan: () => import("./plan.ts"),
  preview: () => import("./preview.ts"),
  verify: () => import("./verify.ts"),
  derpmap: () => import("./derpmap.ts"),
  retire: () => import("./retire.ts"),
  bundle: () => import("./bundle.ts"),
  gate: () => import("./gate.ts"),
  keys: () => import("./keys.ts"),
  policy: () => import("./policy.ts"),
  report: () => import("./report.ts"),
  pulumi: () => import("./pulumi.ts"),
  ...(import.meta.filename.endsWith(".ts") ? developing : {}),
};

/** Runs `derpkit NAME ARGS…` and sets the exit status of the process. */
export async function main(args: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", forgiveClosed);
  const [name = "--help", ...rest] = args;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    await listCommands(name);
    return;
  }
  const { command } = await load();
  process.exitCode = await runCommand(command, rest);
}

async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const out = processOutput(!command.raw && args.includes("--json"));
  const signal = stopSignal(command);
  try {
    const { flags, positionals } = command.raw
      ? { flags: {}, positionals: args }
      : parseCommandLine(command, args);
    if (flags.help === true) {
      process.stdout.write(`${renderHelp(command)}\n`);
      return 0;
    }
    return await command.run({ flags, positionals, out, signal });
  } catch (error) {
    // What fails after one asked to stop fails because of that; a Ctrl-C reaches the programs that a command runs, too.
    if (signal.aborted && (error instanceof KitError || error === signal.reason)) {
      out.note(`${command.name} was stopped before it was done`);
      out.document({ ok: false, stopped: signal.reason });
      return 2;
    }
    out.note(renderError(error));
    if (!(error instanceof KitError)) return 2;
    const { code, message, where, fix, problems } = error;
    out.document({ ok: false, error: { code, message, where, fix, problems } });
    return error.exit;
  }
}

/** Who reads no further, as `head` does, has what they want, and the command goes on. */
function forgiveClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

/** One Ctrl-C can arrive by two ways, from the terminal and through run.mjs; more than this apart, it is a second one. */
const sameSignalMs = 500;

/**
 * Aborted by the first SIGINT, SIGTERM or SIGHUP, and when run.mjs, which started this process, is gone. A second signal
 * ends the process at once, unless the command only waits for a program that decides that for itself.
 */
function stopSignal({ raw = false }: Command): AbortSignal {
  const controller = new AbortController();
  let asked = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) asked = performance.now();
      else if (!raw && performance.now() - asked > sameSignalMs)
        process.exit(128 + constants.signals[signal]);
      controller.abort(signal);
    });
  }
  process.once("disconnect", () => controller.abort("SIGTERM"));
  process.channel?.unref();
  return controller.signal;
}

async function listCommands(name: string): Promise<void> {
  const known = await Promise.all(Object.values(commands).map(async (load) => (await load()).command));
  const width = Math.max(...known.map((command) => command.name.length)) + 2;
  const list = known.map((command) => `  ${command.name.padEnd(width)}${command.summary}`).join("\n");
  const asked = name === "--help" || name === "-h" || name === "help";
  if (asked) process.stdout.write(`derpkit: your own fleet of DERP relays\n\n${list}\n`);
  else process.stderr.write(`derpkit has no command "${name}". It has:\n\n${list}\n`);
  process.exitCode = asked ? 0 : 2;
}
