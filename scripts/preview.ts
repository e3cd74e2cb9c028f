/** `npm run preview`: what `up` would change, by Pulumi's engine and with what the clouds say, as a document for reports. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { readIfThere } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { knownAfterUp, readableValue } from "./cli/program.ts";
import { spawnForProgram, whatItSays } from "./cli/pulumi-cli.ts";
import { resolveStack, type StackFile } from "./cli/stack-file.ts";
import {
  type LoggedPreview,
  type PlannedChange,
  readEngineLog,
  renderResource,
} from "./preview/engine-events.ts";

export const command: Command = {
  name: "preview",
  summary: "Preview a stack with Pulumi's engine: what would change, and the derpMap that it would give.",
  usage: "--stack NAME [--refresh] [--expect-no-changes]",
  about: [
    "Runs `pulumi preview`, which shows what it does, and lists what would change; with --json that and the stack's outputs",
    "are one document, in which what only the cloud knows reads (known after up). `npm run policy -- diff --preview FILE` takes it.",
    "Nothing is changed, and the key that signs releases is not needed: what differs in nothing but what is signed is said to",
    "be uncertain, and is no change for --expect-no-changes.",
    "",
    "  npm --silent run preview -- --stack prod --json > preview.json",
    "  npm run preview -- --stack prod --refresh --expect-no-changes    # has anything drifted?",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "a stack of Pulumi's" },
    refresh: { type: "boolean", help: "ask the clouds first what is there" },
    "expect-no-changes": { type: "boolean", help: "exit status 1 if something would surely change" },
  },
  run,
};

async function run({ flags, out, signal }: CommandContext): Promise<ExitStatus> {
  if (typeof flags["stack"] !== "string") throw new KitError("usage", { message: "Give --stack." });
  const stackFile = await resolveStack(flags["stack"]);
  const { changes, types, outputs, remarks } = await preview(
    stackFile,
    flags["refresh"] === true,
    out.json,
    signal,
  );
  for (const change of changes) out.line(renderChange(change));
  if (changes.length === 0) out.line("nothing would change");
  const ok = flags["expect-no-changes"] !== true || changes.every(({ certain }) => !certain);
  const warnings = remarks.filter(({ severity }) => severity === "warning").map(({ text }) => text);
  out.document({ ok, changes, types, warnings, outputs: outputs ?? {} });
  return ok ? 0 : 1;
}

/** `update  hcloud:index/server:Server derp-901-901a-server (labels)`. */
function renderChange(change: PlannedChange): string {
  const doubt = change.certain ? "" : ", if at all: what is signed is not known";
  return `${change.op.padEnd(7)} ${renderResource(change)}${doubt}`;
}

/**
 * Runs the CLI and reads what its engine logs. What it shows goes to standard output, or with --json to standard error.
 *
 * @throws KitError `pulumi-missing`, or `pulumi-failed` with what the engine says
 */
async function preview(
  { stack, root }: StackFile,
  refresh: boolean,
  json: boolean,
  signal: AbortSignal,
): Promise<LoggedPreview> {
  const folder = await mkdtemp(join(tmpdir(), "derpkit-preview-"));
  try {
    const log = join(folder, "events");
    const args = ["preview", "--stack", stack, "--non-interactive", "--color", "never", "--event-log", log];
    const { child, ended } = spawnForProgram(
      refresh ? [...args, "--refresh"] : args,
      {
        cwd: root,
        env: {
          ...process.env,
          PULUMI_SKIP_UPDATE_CHECK: "true",
          // The CLI has --event-log only then; its own Automation API does the same.
          PULUMI_DEBUG_COMMANDS: "true",
        },
        stdio: ["ignore", json ? 2 : 1, "pipe"],
      },
      signal,
    );
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      process.stderr.write(text);
    });
    const [status] = await ended;
    signal.throwIfAborted();
    // The CLI makes no log if it fails before its engine begins.
    const events = (await readIfThere(log)) ?? "";
    const logged = readEngineLog(events, { unknown: knownAfterUp, readable: readableValue });
    if (status === 0) return logged;
    const errors = logged.remarks.filter(({ severity }) => severity === "error");
    const why = errors.length > 0 ? errors.map(({ text }) => text).join("\n") : whatItSays(said);
    throw new KitError("pulumi-failed", {
      where: `stack ${stack}`,
      message: `\`pulumi preview\` failed: ${why}`,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
