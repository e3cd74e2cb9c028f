/** `npm run retire`: takes a region out of service, a step at a time, without cutting anybody off. */
import process from "node:process";
import { createTrust } from "../relay/client/transport.ts";
import { parseDuration } from "../relay/config/duration.ts";
import { readText } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { openSecretConfig } from "./cli/pulumi-cli.ts";
import { type PlacedNode, readStackFleet } from "./cli/stack-fleet.ts";
import { replaceStackText, resolveStack, type StackFile } from "./cli/stack-file.ts";
import { type Look, waitFor } from "./gate/wait.ts";
import { commitFile, committedText } from "./retire/git.ts";
import { askHomes, describeMissing, letClientsGo, type NodeHomes } from "./retire/homes.ts";
import { describeNext, verbs } from "./retire/life.ts";
import { renderDiff } from "./retire/line-diff.ts";
import { isInPolicy } from "./retire/pushed.ts";
import { planStep, type Step } from "./retire/step.ts";
import type { Way } from "./verify/first-family.ts";
import { readDetours } from "./verify/read-detours.ts";

/** Until a relay that has closed its clients says so. */
const goneMs = 15_000;

export const command: Command = {
  name: "retire",
  summary: "Take a region out of service, a step at a time, without cutting anybody off.",
  usage: "--stack NAME REGION [--commit] [--max-wait 15m] [--policy-pushed]",
  about: [
    "Takes the next step of the region, by its code or id, in the stack file, and shows what it changed:",
    "",
    "  canary, serving -> draining   at any time",
    "  draining -> retired           once nobody is at home there: every node says so at /derpkit/status. When --max-wait is over",
    "                                its relays let go who is left, one after the other, and refuse each for 40 s",
    "  retired -> deleted            once nobody is, and the policy without it has been pushed: the policy service says so to who",
    "                                has credentials of the Tailscale API (docs/policy.md), or you do (--policy-pushed)",
    "",
    "Each step is an ordinary change: `pulumi up`, verify, push. The token for the status page is the secret that the region's",
    "statusToken names, which Pulumi's CLI opens, or DERPKIT_STATUS_TOKEN. DERPKIT_CONNECT_TO counts as for verify. What was",
    "interrupted goes on when the command is run again.",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "a stack's name or file; required" },
    commit: { type: "boolean", help: "commit the stack file with Git, and nothing else" },
    "max-wait": {
      type: "string",
      value: "DURATION",
      help: "wait at most so long until all have left by themselves (default 15m)",
    },
    "policy-pushed": {
      type: "boolean",
      help: "do not ask the policy service: the policy without the region has been pushed",
    },
    anyway: {
      type: "boolean",
      help: "do not ask the nodes: whoever is still at home there has to find another when the map without it arrives",
    },
  },
  positionals: true,
  run,
};

async function run(context: CommandContext): Promise<ExitStatus> {
  const { flags, positionals, signal } = context;
  const [wanted = ""] = positionals;
  if (positionals.length !== 1) throw usage("Give the code or id of one region.");
  if (typeof flags["stack"] !== "string") throw usage("Give --stack.");
  const withinMs = parseDuration(String(flags["max-wait"] ?? "15m"));
  if (withinMs === undefined || withinMs < 0) throw usage("--max-wait takes a duration, for example 15m.");
  const stackFile = await resolveStack(flags["stack"]);
  const { file } = stackFile;
  const before = await readText(file);
  if (flags["commit"] === true) {
    const pending = await findPending(file, before, wanted);
    if (pending !== undefined) return await finish(pending.step, pending.from, stackFile, context);
  }
  const step = planStep(before, wanted, file);
  const isReady = step.outcome === "draining" || (await isLeft(step, stackFile, withinMs, context));
  if (!isReady) return 1;
  signal.throwIfAborted();
  // Others may have written to it while this waited.
  if ((await readText(file)) !== before) {
    throw notReady(step, "The stack file was changed meanwhile.", "Run the command again.");
  }
  await replaceStackText(file, step.text);
  return await finish(step, before, stackFile, context);
}

interface Pending {
  readonly step: Step;
  readonly from: string;
}

/**
 * Looks for a step that was written and, because somebody interrupted it, not committed.
 *
 * @throws KitError `git-failed` if the file has other changes, which a commit would take with it
 */
async function findPending(file: string, now: string, wanted: string): Promise<Pending | undefined> {
  const from = await committedText(file);
  if (from === now) return undefined;
  const step = from === undefined ? undefined : tryPlan(from, wanted, file);
  if (from !== undefined && step?.text === now) return { step, from };
  throw new KitError("git-failed", {
    where: file,
    message: "The stack file has changes that are not committed, and a commit would take them with it.",
    fix: "Commit them, or take them back, and run the command again.",
  });
}

function tryPlan(text: string, wanted: string, file: string): Step | undefined {
  try {
    return planStep(text, wanted, file);
  } catch (error) {
    if (error instanceof KitError) return undefined;
    throw error;
  }
}

/** Tells of a step that is in the stack file, and commits it if that was asked for. */
async function finish(
  { outcome, region, orphans }: Step,
  before: string,
  { file, stack }: StackFile,
  { flags, out }: CommandContext,
): Promise<ExitStatus> {
  const { id, code, state } = region;
  const commit =
    flags["commit"] === true ? `${verbs[outcome]} region ${code} (${id}) of stack ${stack}` : undefined;
  if (commit !== undefined) await commitFile(file, commit);
  out.line(`region ${id} (${code}) of stack ${stack}: ${state} -> ${outcome}`);
  for (const line of renderDiff(before, await readText(file))) out.line(`  ${line}`);
  if (orphans.length > 0) out.line(`Secrets that only it named went with it: ${orphans.join(", ")}`);
  const next = [...(commit === undefined ? [`Commit ${file}.`] : []), ...describeNext(outcome, stack, code)];
  out.line(commit === undefined ? "" : `Committed: ${commit}\n`);
  for (const [index, sentence] of next.entries()) out.line(`${index + 1}. ${sentence}`);
  out.document({
    ok: true,
    stack,
    region: { id, code },
    from: state,
    to: outcome,
    orphans,
    commit: commit ?? null,
    next,
  });
  return 0;
}

/**
 * Waits until the region is as its state says, and nobody is at home there.
 *
 * @returns false if somebody still was when the time was over
 * @throws KitError `region-not-ready`
 */
async function isLeft(
  step: Step,
  stackFile: StackFile,
  withinMs: number,
  { flags, out, signal }: CommandContext,
): Promise<boolean> {
  const { region, outcome } = step;
  if (outcome === "deleted" && flags["policy-pushed"] !== true) {
    await requirePushed(step, stackFile, out, signal);
  }
  if (flags["anyway"] === true) {
    out.note(
      `WARNING: NOBODY WAS ASKED who is still at home in ${region.code}: whoever is has to find another when the map without it arrives`,
    );
    return true;
  }
  const nodes = await listNodes(step, stackFile, out);
  const token = await readToken(step, stackFile);
  const way = { trust: createTrust(), detours: readDetours([], process.env), signal };
  const look = async (): Promise<Look<readonly NodeHomes[]>> => {
    const homes = await askHomes(nodes, token, way);
    const missing = describeMissing(homes);
    return missing === undefined ? { found: homes } : { missing, rest: homes };
  };
  const waiting = out.step(`asking ${nodes.length} nodes who is at home in ${region.code}`);
  const { id, code } = region;
  const waited = await waitFor(look, { withinMs, out, step: waiting, signal });
  if (waited.ok) {
    waiting.done(`nobody is at home in ${code}`);
    return true;
  }
  const isAnybody =
    outcome === "retired" && waited.found.some(({ homeConnections = 0 }) => homeConnections > 0);
  const { ok, found } = isAnybody
    ? ((await letGo({ nodes, token, way, look }, code, out)) ?? waited)
    : waited;
  if (ok) return true;
  out.note(
    `${describeMissing(found)}: region ${id} (${code}) stays ${region.state}, and nothing was changed.`,
  );
  out.note("Run the command again to wait on, with a longer --max-wait, or with --anyway.");
  out.document({
    ok: false,
    stack: stackFile.stack,
    region: { id, code },
    from: region.state,
    to: region.state,
    nodes: found,
  });
  return false;
}

/** @throws KitError `region-not-ready` if clients are still told of the region, or nobody can say that they are not */
async function requirePushed(
  step: Step,
  { file }: StackFile,
  out: CommandContext["out"],
  signal: AbortSignal,
): Promise<void> {
  const note = (words: string): void => out.note(words);
  const inPolicy = await isInPolicy(step.region.id, { stack: file, env: process.env, note, signal });
  if (inPolicy === false) return;
  const why = "A client whose map still has the region would look for it in vain";
  throw inPolicy === true
    ? notReady(step, `${why}, and the tailnet policy has it.`, "Push the policy without it.")
    : notReady(
        step,
        `${why}.`,
        "Push the policy without it, and give --policy-pushed, or credentials by which the policy can be asked (docs/policy.md).",
      );
}

interface Leave {
  readonly nodes: readonly PlacedNode[];
  readonly token: string;
  readonly way: Way;
  readonly look: () => Promise<Look<readonly NodeHomes[]>>;
}

/**
 * Has the nodes let go who has not left by himself, and waits until nobody is at home any more.
 *
 * @returns undefined if no node does
 */
async function letGo({ nodes, token, way, look }: Leave, code: string, out: CommandContext["out"]) {
  const step = out.step(`having ${code} let its clients go`);
  const said = await letClientsGo(nodes, token, way);
  const leaving = said.flatMap((each) => ("silent" in each ? [] : [each]));
  for (const each of said) if ("silent" in each) out.note(`${each.name}: ${each.silent}`);
  if (leaving.length === 0) {
    step.fail("none of its relays does");
    return undefined;
  }
  const count = leaving.reduce((sum, each) => sum + each.leaving, 0);
  const overMs = Math.max(...leaving.map((each) => each.overMs));
  const refusedMs = Math.max(...leaving.map((each) => each.refusedMs));
  out.note(
    `the relays let ${count} clients go within ${overMs / 1_000} s, and refuse each for ${refusedMs / 1_000} s, in which it finds another home`,
  );
  const done = await waitFor(look, { withinMs: overMs + goneMs, out, step, signal: way.signal });
  if (done.ok) step.done(`nobody is at home in ${code}`);
  return done;
}

/** The region's nodes as the last `up` left them: in the state of the stack file, or it has not been applied. */
async function listNodes(
  step: Step,
  stackFile: StackFile,
  out: CommandContext["out"],
): Promise<readonly PlacedNode[]> {
  const { id, state } = step.region;
  const fleet = await readStackFleet(stackFile, (message) => out.note(`warning: ${message}`));
  const nodes = fleet.nodes.filter(({ regionId }) => regionId === id);
  if (nodes.length > 0 && nodes.every((node) => node.state === state)) return nodes;
  const found = nodes[0] === undefined ? "not there" : nodes[0].state;
  throw notReady(
    step,
    `The stack file says ${state}, and after the last \`up\` the region is ${found}.`,
    `Run \`npm run pulumi -- up --stack ${stackFile.stack}\`, and push the derpMap.`,
  );
}

async function readToken(step: Step, stackFile: StackFile): Promise<string> {
  const given = process.env["DERPKIT_STATUS_TOKEN"]?.trim() ?? "";
  if (given !== "") return given;
  const { statusToken } = step.region;
  if (statusToken !== undefined) return (await openSecretConfig(stackFile).read(statusToken)).trim();
  throw notReady(
    step,
    "Nobody can ask its nodes who is at home: it names no statusToken, and DERPKIT_STATUS_TOKEN is not set.",
    "Write statusToken with the name of a secret (docs/operations.md), or look by yourself and give --anyway.",
  );
}

function notReady({ region, outcome }: Step, message: string, fix: string): KitError {
  return new KitError("region-not-ready", {
    where: `region ${region.id} (${region.code})`,
    message: `It cannot be ${outcome} yet. ${message}`,
    fix,
  });
}

function usage(message: string): KitError {
  return new KitError("usage", { message });
}
