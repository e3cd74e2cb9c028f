/** `npm run policy`: our regions in the tailnet policy, and nothing else in it. */
import process from "node:process";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import type { StackFile } from "./cli/stack-file.ts";
import { withStep } from "./cli/with-step.ts";
import { annotateError, renderAnnotation } from "./policy/annotations.ts";
import type { DerpPart } from "./policy/derp-part.ts";
import { type Change, renderChange } from "./policy/diff.ts";
import { mergePolicy, type Ours, parsePolicy } from "./policy/merge.ts";
import { type OpenPlace, openPlace, type PlaceFlags, type Scope } from "./policy/open-place.ts";
import {
  describeNewNodes,
  parseIds,
  readBaseFile,
  readMapFile,
  readPreviewedMap,
  readStackMap,
  type Wish,
} from "./policy/ours.ts";
import { compare, push, revert } from "./policy/push.ts";
import { readPolicyFile, writePolicyFile } from "./policy/text-file.ts";

export const command: Command = {
  name: "policy",
  summary: "Keep our regions in the tailnet policy, and touch nothing else in it.",
  usage: "diff|check|push|revert|merge (--stack NAME | --derpmap MAP.json) [--policy FILE] …",
  about: [
    "diff    says what a push would change",
    "check   has the policy service judge what a push would write, and writes nothing",
    "push    writes our regions, guarded by the policy's ETag, and looks whether they are there",
    "revert  puts back the text from before the last push from here, unless somebody edited the policy since",
    "merge   --policy IN --derpmap MAP.json --out OUT: the same for files, without a network",
    "",
    "Ours are the regions of the map's ids, or of --owned, and whether default regions are left out if the map says so. What",
    "somebody else edited since the last push is refused, not overwritten. With --policy FILE the policy is a file, as a Git",
    "repository has it; else it is asked of the Tailscale API with TS_API_KEY, or TS_OAUTH_CLIENT_ID and",
    "TS_OAUTH_CLIENT_SECRET, or in GitHub Actions with TS_OAUTH_CLIENT_ID of a federated identity. TS_TAILNET names the",
    "tailnet (default -). docs/policy.md has the rest.",
    "",
    "  npm run policy -- diff --stack prod",
    "  npm run policy -- diff --stack prod --preview preview.json --exit-zero",
    "  npm run policy -- push --derpmap map.json",
    "  npm run policy -- merge --policy policy.hujson --derpmap map.json --out policy.hujson",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "a stack of Pulumi's: map and ids are its outputs" },
    derpmap: { type: "string", value: "FILE", help: "the derpMap as JSON; - is standard input" },
    preview: {
      type: "string",
      value: "FILE",
      help: "diff, with --stack: the map that the next up would give, from `npm run preview -- --json`",
    },
    owned: {
      type: "string",
      value: "IDS",
      help: "ids that are ours, as 901,902 (default: those of the map)",
    },
    base: {
      type: "string",
      value: "FILE",
      help: "the derpMap that was pushed last (default: as kept in .derpkit/policy)",
    },
    adopt: {
      type: "boolean",
      help: "where it is not known what was pushed last: take regions with our id and our code as ours",
    },
    policy: { type: "string", value: "FILE", help: "a policy file, in the place of the Tailscale API" },
    out: { type: "string", value: "FILE", help: "merge: the file to write" },
    api: {
      type: "string",
      value: "URL",
      help: "where the API is (default TAILSCALE_API_URL, or https://api.tailscale.com)",
    },
    timeout: { type: "string", value: "SECONDS", help: "for each request to the API (default 15)" },
    "allow-unverified": {
      type: "boolean",
      help: "with --stack: publish regions that no gate was passed by, too",
    },
    "exit-zero": { type: "boolean", help: "diff: a difference is no reason for exit status 1" },
  },
  positionals: true,
  run,
};

const actions = {
  merge: runMerge,
  diff: runDiff,
  check: runCheck,
  push: runPush,
  revert: runRevert,
} as const;
type Action = keyof typeof actions;

async function run(context: CommandContext): Promise<ExitStatus> {
  const { flags, positionals, out } = context;
  const [action = ""] = positionals;
  if (positionals.length !== 1 || !isAction(action)) {
    throw usage(`Say what to do: ${Object.keys(actions).join(", ")}.`);
  }
  try {
    return await actions[action](context);
  } catch (error) {
    if (error instanceof KitError && inActions()) {
      for (const each of annotateError(error, textOf(flags["policy"]))) out.note(renderAnnotation(each));
    }
    throw error;
  }
}

async function runMerge({ flags, out, signal }: CommandContext): Promise<ExitStatus> {
  const [file, map, target] = [textOf(flags["policy"]), textOf(flags["derpmap"]), textOf(flags["out"])];
  if (file === undefined || map === undefined || target === undefined || flags["stack"] !== undefined) {
    throw usage("merge takes --policy IN, --derpmap MAP.json and --out OUT.");
  }
  const [owned, base] = [textOf(flags["owned"]), textOf(flags["base"])];
  const wish = await readMapFile(map, signal);
  const ours: Ours = {
    wanted: wish.wanted,
    owned: owned === undefined ? wish.owned : parseIds(owned),
    bases: base === undefined ? [] : [await readBaseFile(base)],
    // What is there stays in IN, whatever becomes of OUT.
    adopt: true,
  };
  const before = await readPolicyFile(file);
  const { text, adopted } = mergePolicy(parsePolicy(before, file), ours, file);
  await writePolicyFile(target, text);
  sayAdopted(adopted, out);
  const changed = text !== before;
  out.line(`${target}: ${changed ? "written" : "the same as the policy, which has all of it"}`);
  out.document({ ok: true, changed, adopted });
  return 0;
}

async function runDiff(context: CommandContext): Promise<ExitStatus> {
  const { flags, out, signal } = context;
  const { place, ours } = await prepare(context, "policy_file:read");
  // Without a base, too, one wants to see what differs; a push will ask for more.
  const { changes: differences, adopted } = await compare(place, { ...ours, adopt: true }, signal);
  const changes = flags["preview"] === undefined ? differences : withNewNodes(differences, ours);
  if (!ours.adopt && adopted.length > 0) {
    out.note(
      `It is not known what was pushed last, so a push needs --base or --adopt for ${adopted.join(", ")}.`,
    );
  }
  sayChanges(changes, context);
  if (changes.length === 0) out.line(`${place.name}: as it should be`);
  out.document({ ok: changes.length === 0, changes });
  return changes.length === 0 || flags["exit-zero"] === true ? 0 : 1;
}

/** Behind what says that a region is new, its nodes. */
function withNewNodes(changes: readonly Change[], ours: Ours): Change[] {
  return changes.flatMap((change) => [change, ...describeNewNodes(ours, change)]);
}

async function runCheck(context: CommandContext): Promise<ExitStatus> {
  const { out, signal } = context;
  const { place, ours } = await prepare(context, "policy_file:read");
  const { text, changes } = await compare(place, ours, signal);
  const warnings = await withStep(out, `${place.name}: checking`, () => place.validate(text, signal));
  for (const warning of warnings) out.note(`warning: ${warning}`);
  sayChanges(changes, context);
  out.line(`${place.name}: a push of ${changes.length} changes would be taken`);
  out.document({ ok: true, changes, warnings });
  return 0;
}

async function runPush(context: CommandContext): Promise<ExitStatus> {
  const { out, signal } = context;
  const { place, keep, ours } = await prepare(context, "policy_file");
  const { changes, warnings, previous, adopted } = await withStep(out, `${place.name}: pushing`, () =>
    push(place, keep, ours, signal),
  );
  sayAdopted(adopted, out);
  for (const warning of warnings) out.note(`warning: ${warning}`);
  for (const change of changes) out.line(renderChange(change));
  out.line(
    previous === undefined
      ? `${place.name}: as it should be, nothing was written`
      : `${place.name}: written, and read back. Its text from before: ${previous}`,
  );
  out.document({ ok: true, changes, warnings, previous });
  return 0;
}

async function runRevert(context: CommandContext): Promise<ExitStatus> {
  const { flags, out, signal } = context;
  if (flags["derpmap"] !== undefined) throw usage("revert takes no map: it puts back what was there.");
  const { place, keep } = await openPlace(placeFlags(context), "policy_file");
  const { file } = await withStep(out, `${place.name}: taking back`, () => revert(place, keep, signal));
  out.line(`${place.name}: reads again as in ${file}`);
  out.document({ ok: true, restored: file });
  return 0;
}

async function prepare(context: CommandContext, scope: Scope): Promise<OpenPlace & { readonly ours: Ours }> {
  const { flags } = context;
  const [map, base, owned] = [textOf(flags["derpmap"]), textOf(flags["base"]), textOf(flags["owned"])];
  if ((map === undefined) === (flags["stack"] === undefined))
    throw usage("Give either --stack or --derpmap.");
  if (flags["out"] !== undefined) throw usage("--out is for merge.");
  if (flags["preview"] !== undefined && (context.positionals[0] !== "diff" || map !== undefined)) {
    throw usage("--preview is for diff, with --stack: what is only planned is not pushed.");
  }
  const ids = owned === undefined ? undefined : parseIds(owned);
  const open = await openPlace(placeFlags(context), scope);
  const kept = await open.keep.readBases();
  const given = base === undefined ? undefined : [await readBaseFile(base)];
  // What was pushed before and has left the stack is ours as well.
  const wish = await readWish(context, open.stackFile, [...kept, ...(given ?? [])]);
  const ours: Ours = {
    wanted: wish.wanted,
    owned: ids ?? wish.owned,
    bases: given ?? kept,
    adopt: flags["adopt"] === true,
  };
  return { ...open, ours };
}

async function readWish(
  { flags, out, signal }: CommandContext,
  stackFile: StackFile | undefined,
  pushed: readonly DerpPart[],
): Promise<Wish> {
  if (stackFile === undefined) return await readMapFile(textOf(flags["derpmap"]) ?? "", signal);
  const options = {
    allowUnverified: flags["allow-unverified"] === true,
    warn: (message: string) => out.note(`warning: ${message}`),
  };
  const preview = textOf(flags["preview"]);
  return preview === undefined
    ? await readStackMap(stackFile, pushed, options)
    : await readPreviewedMap(preview, stackFile, pushed, options);
}

function placeFlags({ flags, out }: CommandContext): PlaceFlags {
  return {
    stack: textOf(flags["stack"]),
    policy: textOf(flags["policy"]),
    api: textOf(flags["api"]),
    timeout: textOf(flags["timeout"]),
    env: process.env,
    note: (words) => out.note(words),
  };
}

function sayChanges(changes: readonly Change[], { flags, out }: CommandContext): void {
  const place = textOf(flags["policy"]);
  for (const change of changes) {
    const message = renderChange(change);
    out.line(message);
    if (inActions()) out.note(renderAnnotation({ level: "warning", place, message }));
  }
}

function sayAdopted(adopted: readonly string[], out: CommandContext["out"]): void {
  if (adopted.length === 0) return;
  out.note(`There is no base: ${adopted.join(", ")} had our code, and was taken as ours whatever it said.`);
}

function inActions(): boolean {
  return process.env["GITHUB_ACTIONS"] === "true";
}

function isAction(text: string): text is Action {
  return Object.hasOwn(actions, text);
}

function usage(message: string): KitError {
  return new KitError("usage", { message });
}

function textOf(flag: CommandContext["flags"][string]): string | undefined {
  return typeof flag === "string" ? flag : undefined;
}
