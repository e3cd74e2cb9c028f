/** The kit's command line: finds the command, reads its flags, turns its outcome into an exit status. */
import process from "node:process";
import { KitError, renderError } from "../relay/errors.ts";
import { type Command, parseCommandLine, renderHelp } from "./cli/command.ts";
import { processOutput } from "./cli/output.ts";

type Load = () => Promise<{ command: Command }>;

/** For who works on the kit; the published package has neither the sources nor the tools for them. */
const developing: Readonly<Record<string, Load>> = {
  build: () => import("./build.ts"),
  check: () => import("./check.ts"),
  docs: () => import("./docs.ts"),
  test: () => import("./test.ts"),
};

/** Each command is loaded when it is asked for, so that none waits for what another one needs. */
const commands: Readonly<Record<string, Load>> = {
  start: () => import("./start.ts"),
  plan: () => import("./plan.ts"),
  verify: () => import("./verify.ts"),
  bundle: () => import("./bundle.ts"),
  pulumi: () => import("./pulumi.ts"),
  ...(import.meta.filename.endsWith(".ts") ? developing : {}),
};

/** Runs `derpkit NAME ARGS…` and sets the exit status of the process. */
export async function main(args: readonly string[]): Promise<void> {
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
  try {
    const { flags, positionals } = command.raw
      ? { flags: {}, positionals: args }
      : parseCommandLine(command, args);
    if (flags.help === true) {
      process.stdout.write(`${renderHelp(command)}\n`);
      return 0;
    }
    return await command.run({ flags, positionals, out, signal: stopSignal() });
  } catch (error) {
    out.note(renderError(error));
    if (!(error instanceof KitError)) return 2;
    const { code, message, where, fix, problems } = error;
    out.document({ ok: false, error: { code, message, where, fix, problems } });
    return error.exit;
  }
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP. A second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => controller.abort(signal));
  }
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
