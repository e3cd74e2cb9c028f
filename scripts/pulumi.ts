/** `npm run pulumi -- ARGS`: the user's own Pulumi CLI, with the kit's Node.js as the one that runs the program. */
import { constants } from "node:os";
import type { Command, CommandContext } from "./cli/command.ts";
import { spawnForProgram } from "./cli/pulumi-cli.ts";

export const command: Command = {
  name: "pulumi",
  summary: "Run your Pulumi CLI with the Node.js that the kit brings.",
  usage: "ARGS",
  flags: {},
  raw: true,
  run,
};

/** @returns the CLI's own exit status; if a signal ended it, 128 and the signal's number, as shells have it */
async function run({ positionals, signal: stop }: CommandContext): Promise<number> {
  const [status, signal] = await spawnForProgram(positionals, { stdio: "inherit" }, stop).ended;
  return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
