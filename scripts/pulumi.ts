/** `npm run pulumi -- ARGS`: the user's own Pulumi CLI, with the kit's Node.js as the one that runs the program. */
import { constants } from "node:os";
import { delimiter, dirname } from "node:path";
import process from "node:process";
import type { Command, CommandContext } from "./cli/command.ts";
import { spawnPulumi } from "./cli/pulumi-cli.ts";

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
  // The language host runs the `node` that is first in PATH.
  process.env["PATH"] = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  const { child, ended } = spawnPulumi(positionals, { stdio: "inherit" });
  // A terminal signals the CLI as well, and at a second SIGINT it abandons its work. A supervisor's SIGTERM comes here only.
  stop.addEventListener("abort", () => stop.reason === "SIGTERM" && child.kill("SIGTERM"));
  const [status, signal] = await ended;
  return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
