/** `npm run gate`: waits until a region serves what it was given, as seen from here. `pulumi up` runs it between waves. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import * as v from "valibot";
import type { DerpMap } from "../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../infra/derpmap/parse.ts";
import { parseDuration } from "../relay/config/duration.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import type { Output } from "./cli/output.ts";
import type { NodeResult } from "./verify/node.ts";
import { readDetours } from "./verify/read-detours.ts";
import { renderResults } from "./verify/render.ts";
import { type Family, listTargets, type Target } from "./verify/target.ts";
import { judge, verifyNodes } from "./verify/verify.ts";

export const command: Command = {
  name: "gate",
  summary: "Wait until a region's nodes serve what they were given; pulumi up runs it.",
  usage: "REGION [--within 15m]",
  about: [
    "Reads from standard input what is expected, as a JSON document:",
    '{"derpMap": …, "bundle": "<SHA-256 of relay.mjs>" or null, "sequence": <release> or null, "require": ["ipv4"]}. Verifies',
    "every node of the region again and again until all checks pass and its updater has that release. DERPKIT_CONNECT_TO",
    "counts as for verify.",
  ].join("\n"),
  flags: {
    within: { type: "string", value: "DURATION", help: "give up after this long (default 15m)" },
  },
  positionals: true,
  run,
};

const expectationSchema = v.object({
  derpMap: v.unknown(),
  bundle: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  sequence: v.optional(v.nullable(v.number()), null),
  require: v.array(v.picklist(["ipv4", "ipv6"])),
});

interface Expectation {
  readonly derpMap: DerpMap;
  readonly bundle: string | null;
  readonly sequence: number | null;
  readonly require: readonly Family[];
}

const againAfterMs = 5_000;
/** A line on what is still missing, so that a long wait is seen to be one. */
const tellEveryMs = 30_000;

async function run({ flags, positionals, out, signal }: CommandContext): Promise<ExitStatus> {
  const [region = ""] = positionals;
  if (positionals.length !== 1) throw new KitError("usage", { message: "Give the code of one region." });
  const within = parseDuration(String(flags["within"] ?? "15m"));
  if (within === undefined || within <= 0) {
    throw new KitError("usage", { message: "--within takes a duration, for example 15m." });
  }
  const expected = parseExpectation(await text(addAbortSignal(signal, process.stdin)));
  const targets = listTargets(expected.derpMap, { regions: [region] });
  if (targets.length === 0) {
    throw new KitError("usage", { message: `The map has no nodes of region ${JSON.stringify(region)}.` });
  }
  const { ok, results, gaps } = await waitForAll(targets, expected, within, out, signal);
  out.line(renderOutcome(region, expected, ok));
  if (!ok) {
    out.line(renderResults(results));
    for (const gap of gaps) out.note(gap);
    out.note(
      "The region is not taken as ready, and later waves are left alone. Mend it and run `pulumi up` again; the node's updater " +
        "says in `/healthz` what it refused.",
    );
  }
  out.document({ ok, region, nodes: results });
  return ok ? 0 : 1;
}

function parseExpectation(json: string): Expectation {
  try {
    const { derpMap, ...rest } = v.parse(expectationSchema, JSON.parse(json));
    return { ...rest, derpMap: parseDerpMap(JSON.stringify(derpMap)) };
  } catch (cause) {
    if (cause instanceof KitError) throw cause;
    throw new KitError("usage", {
      message: "Standard input is not what a gate expects.",
      fix: "npm run gate -- --help shows it.",
      cause,
    });
  }
}

interface Outcome {
  readonly ok: boolean;
  readonly results: readonly NodeResult[];
  readonly gaps: readonly string[];
}

async function waitForAll(
  targets: readonly Target[],
  { bundle, sequence, require }: Expectation,
  withinMs: number,
  out: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const started = performance.now();
  const options = {
    signal,
    detours: readDetours([], process.env),
    expected: { bundle: bundle ?? undefined, sequence: sequence ?? undefined },
  };
  const step = out.step(`waiting for ${targets.length} nodes`);
  for (let told = Number.NEGATIVE_INFINITY; ;) {
    const results = await verifyNodes(targets, options);
    signal.throwIfAborted();
    const verdict = judge(results, require);
    const passed = performance.now() - started;
    if (verdict.ok) step.done(`${targets.length} nodes serve what they were given`);
    const isOver = passed + againAfterMs > withinMs;
    if (!verdict.ok && isOver) step.fail(`not ready within ${withinMs / 1_000} s`);
    if (verdict.ok || isOver) return { ...verdict, results };
    const missing = describeMissing(results);
    step.update(missing);
    if (passed - told >= tellEveryMs) {
      out.note(missing);
      told = passed;
    }
    await sleep(againAfterMs, undefined, { signal });
  }
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
