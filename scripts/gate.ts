/** `npm run gate`: waits until a region serves what it was given, as seen from here. `pulumi up` runs it between waves. */
import process from "node:process";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import { describeError } from "../relay/client/dial.ts";
import { createTrust } from "../relay/client/transport.ts";
import { parseDuration } from "../relay/config/duration.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { type Expectation, expectedOf, parseExpectation } from "./gate/expectation.ts";
import { type Look, type Patience, waitFor } from "./gate/wait.ts";
import { isNotOurs } from "./verify/check.ts";
import type { NodeResult } from "./verify/node.ts";
import { readDetours } from "./verify/read-detours.ts";
import { readRelayKey } from "./verify/relay-key.ts";
import { renderResults } from "./verify/render.ts";
import { listTargets, type Target } from "./verify/target.ts";
import { judge, type Verdict, verifyNodes } from "./verify/verify.ts";

export const command: Command = {
  name: "gate",
  summary: "Wait until a region's nodes serve what they were given; pulumi up runs it.",
  usage: "REGION [--within 15m] [--keys]",
  about: [
    "Reads from standard input what is expected, as a JSON document with derpMap and require, and where they are known",
    "bundle (SHA-256 of relay.mjs), sequence (of the release), secrets (their sequence by node) and closed (the relays let",
    "in only those they know). Verifies every node of the region again and again until all checks pass. With --keys it waits",
    "until every node tells its relay's key, whatever it serves, and prints the keys by node. DERPKIT_CONNECT_TO counts as for",
    "verify.",
  ].join("\n"),
  flags: {
    within: { type: "string", value: "DURATION", help: "give up after this long (default 15m)" },
    keys: { type: "boolean", help: "wait for the keys of the relays, and print them" },
  },
  positionals: true,
  run,
};

/** For each question to a node. */
const answerMs = 10_000;

async function run({ flags, positionals, out, signal }: CommandContext): Promise<ExitStatus> {
  const [region = ""] = positionals;
  if (positionals.length !== 1) throw new KitError("usage", { message: "Give the code of one region." });
  const withinMs = parseDuration(String(flags["within"] ?? "15m"));
  if (withinMs === undefined || withinMs <= 0) {
    throw new KitError("usage", { message: "--within takes a duration, for example 15m." });
  }
  const expected = parseExpectation(await text(addAbortSignal(signal, process.stdin)));
  const targets = listTargets(expected.derpMap, { regions: [region] });
  if (targets.length === 0) {
    throw new KitError("usage", { message: `The map has no nodes of region ${JSON.stringify(region)}.` });
  }
  const step = out.step(`waiting for ${targets.length} nodes`);
  const patience = { withinMs, out, step, signal };
  return flags["keys"] === true
    ? await waitForKeys(region, targets, patience)
    : await waitForService(region, targets, expected, patience);
}

interface Service extends Verdict {
  readonly results: readonly NodeResult[];
}

async function waitForService(
  region: string,
  targets: readonly Target[],
  expected: Expectation,
  patience: Patience,
): Promise<ExitStatus> {
  const { out, step, signal } = patience;
  const options = {
    signal,
    detours: readDetours([], process.env),
    expectedOf: (node: string) => expectedOf(expected, node),
    closedRegions: new Set(expected.closed ? [region] : []),
  };
  const look = async (): Promise<Look<Service>> => {
    const results = await verifyNodes(targets, options);
    const found = { ...judge(results, expected.require), results };
    return found.ok ? { found } : { missing: describeMissing(results), rest: found };
  };
  const { ok, found } = await waitFor(look, patience);
  if (ok) step.done(`${targets.length} nodes serve what they were given`);
  out.line(renderOutcome(region, expected, ok));
  if (!ok) {
    out.line(renderResults(found.results));
    for (const gap of found.gaps) out.note(gap);
    out.note(
      "The region is not taken as ready, and later waves are left alone. Mend it and run `pulumi up` again; the node's updater " +
        "says in `/healthz` what it refused.",
    );
  }
  out.document({ ok, region, nodes: found.results });
  return ok ? 0 : 1;
}

/** Prints the keys in one line: it is kept in the stack's state, and read from there. */
async function waitForKeys(
  region: string,
  targets: readonly Target[],
  patience: Patience,
): Promise<ExitStatus> {
  const { out, step, signal } = patience;
  const [trust, detours] = [createTrust(), readDetours([], process.env)];
  const look = async (): Promise<Look<Readonly<Record<string, string>>>> => {
    const missing: string[] = [];
    const keys = await Promise.all(
      targets.map(async (target) => {
        const { Name } = target.node;
        const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
        try {
          return [[Name, (await readRelayKey(target, trust, detours, limit)).toString("hex")]] as const;
        } catch (error) {
          if (!isNotOurs(error)) throw error;
          missing.push(`${Name}: ${describeError(error)}`);
          return [];
        }
      }),
    );
    const found = Object.fromEntries(keys.flat());
    return missing.length === 0
      ? { found }
      : { missing: `waiting for keys: ${missing.toSorted().join("; ")}`, rest: found };
  };
  const { ok, found } = await waitFor(look, patience);
  if (ok) {
    step.done(`${targets.length} nodes have told their relays' keys`);
    out.line(JSON.stringify(found));
  } else {
    out.note(`The nodes of ${region} do not all tell their relays' keys, so nothing can be sealed to them.`);
  }
  out.document({ ok, region, keys: found });
  return ok ? 0 : 1;
}

/** Of each node the first check that it fails: the others mostly follow from it. */
function describeMissing(results: readonly NodeResult[]): string {
  const faults = results.flatMap(({ name, checks }) => {
    const failed = checks.find(({ status }) => status === "failed");
    return failed === undefined ? [] : [`${name}: ${failed.name}: ${failed.detail}`];
  });
  return faults.length === 0
    ? "waiting for what cannot be tested from here"
    : `waiting: ${faults.join("; ")}`;
}

/** The same words for the same outcome: they are kept in the stack's state. */
function renderOutcome(region: string, { bundle }: Expectation, ok: boolean): string {
  const what = bundle === null ? "serves" : `serves bundle ${bundle.slice(0, 12)}`;
  return ok ? `${region} ${what}` : `${region} does not serve what it was given`;
}
