/** `npm run keys`: makes and changes the key that signs what a stack's machines are delivered. */
import { KitError } from "../relay/errors.ts";
import { parseSigningKey } from "../infra/delivery/signing-key.ts";
import { readIfThere } from "../relay/config/files.ts";
import { signingKeyFile } from "./build/signing-key.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { openSecretConfig } from "./cli/pulumi-cli.ts";
import { resolveStack, type StackFile } from "./cli/stack-file.ts";
import { withStep } from "./cli/with-step.ts";
import { openKeyStore } from "./keys/key-store.ts";
import { initKeys, type KeysOutcome, rotateKeys } from "./keys/life.ts";

export const command: Command = {
  name: "keys",
  summary: "Make or change the key that signs what a stack's machines are delivered.",
  usage: "init|rotate --stack NAME [--json]",
  about: [
    "init    makes the key: a secret of the stack, derpkit:signingKey. Its public half goes into derpkit:trustedKeys.",
    "rotate  changes it in two steps. The first makes the next key and has machines trust both; run it again when every",
    "        node has been told, and the next one signs alone.",
    "",
    "Needs the Pulumi CLI and what opens the stack's secrets, PULUMI_CONFIG_PASSPHRASE for example. The key itself is never",
    "shown. What was interrupted goes on when the command is run again. docs/keys.md has the rest: lost and stolen keys.",
  ].join("\n"),
  flags: { stack: { type: "string", value: "NAME", help: "name of a stack of Pulumi's; required" } },
  positionals: true,
  run,
};

type Action = "init" | "rotate";

async function run({ flags, positionals, out, signal }: CommandContext): Promise<ExitStatus> {
  const action = readAction(positionals);
  const { stack: asked } = flags;
  if (typeof asked !== "string") throw new KitError("usage", { message: "Give --stack." });
  const stackFile = await resolveStack(asked);
  const store = openKeyStore(stackFile, openSecretConfig(stackFile), signal);
  const outcome = await withStep(out, `${action}: stack ${stackFile.stack}`, async () =>
    action === "init" ? initKeys(store, await readLocalKey(stackFile)) : rotateKeys(store),
  );
  const next = describeNext(outcome, stackFile.stack);
  for (const key of outcome.trustedKeys) {
    out.line(`${key}  ${key === outcome.signer ? "signs" : "is trusted"}`);
  }
  for (const key of outcome.dropped) out.line(`${key}  is trusted no more`);
  for (const line of ["", ...next]) out.line(line);
  const { phase, signer, trustedKeys, dropped } = outcome;
  out.document({ ok: true, stack: stackFile.stack, phase, signer, trustedKeys, dropped, next });
  return 0;
}

function readAction(positionals: readonly string[]): Action {
  const [action] = positionals;
  if (positionals.length === 1 && (action === "init" || action === "rotate")) return action;
  throw new KitError("usage", { message: "Say what to do: init or rotate." });
}

/** The key that signs the stack's bundles while it has none of its own. */
async function readLocalKey({ root, stack }: StackFile) {
  const file = signingKeyFile(root, stack);
  const text = await readIfThere(file);
  return text === undefined ? undefined : parseSigningKey(text, file);
}

function describeNext({ phase, dropped }: KeysOutcome, stack: string): string[] {
  const publish = `run \`npm run bundle -- --stack ${stack}\` and upload what it writes`;
  if (phase === "made") {
    const built =
      "Machines that were built with a key that is trusted no more take nothing from this stack until";
    return [
      `next: run \`npm run pulumi -- up --stack ${stack}\`, and ${publish}. Commit the stack file.`,
      ...(dropped.length === 0 ? [] : [`${built} their region's generation changes (docs/keys.md).`]),
    ];
  }
  if (phase === "announced") {
    return [
      `next: run \`npm run pulumi -- up --stack ${stack}\`, and ${publish}. Commit the stack file.`,
      "Then wait until every node has taken that manifest: /healthz shows its sequence. A node that has not is cut off from",
      `delivery by what follows. Then run \`npm run keys -- rotate --stack ${stack}\` again.`,
    ];
  }
  return [
    `next: run \`npm run pulumi -- up --stack ${stack}\`, and ${publish}. Commit the stack file.`,
    "The former key signs nothing any more once every node has taken that manifest.",
  ];
}
