/** `npm start`: the main job on this machine. A stack file in; relays running, verified, and a derpMap out. */
import { once } from "node:events";
import { KitError } from "../relay/errors.ts";
import type { FleetNode } from "../infra/clouds/cloud.ts";
import { regionsOf } from "../infra/derpmap/derp-map.ts";
import { type RelayBundle, relayBundle } from "../infra/delivery/relay-bundle.ts";
import { loadSigningKey, signingKeyFile } from "./build/signing-key.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import type { Output } from "./cli/output.ts";
import { type ProgramResult, runProgram } from "./cli/program.ts";
import { resolveStack, type StackFile } from "./cli/stack-file.ts";
import { withStep } from "./cli/with-step.ts";
import { type LocalFleet, publishRegions, startLocalFleet } from "./start/local-fleet.ts";
import { requireFreePorts } from "./start/ports.ts";
import type { NodeResult } from "./verify/node.ts";
import { renderResults, renderSummary } from "./verify/render.ts";
import { listTargets } from "./verify/target.ts";
import { judge, type OnProgress, verifyNodes } from "./verify/verify.ts";

export const command: Command = {
  name: "start",
  summary: "Run a stack's relays on this machine, verify each, print the derpMap.",
  usage: "[--stack NAME|FILE] [--once] [--json]",
  about: [
    "Runs the Pulumi program without Pulumi's engine, bundles and signs the relay, starts every node of the stack on",
    "loopback through its updater, and checks each as a Tailscale client would. Stays until Ctrl-C.",
  ].join("\n"),
  flags: {
    stack: {
      type: "string",
      value: "NAME|FILE",
      help: "Pulumi.<NAME>.yaml, or the path of such a file; default local",
    },
    once: { type: "boolean", help: "stop after the proof" },
  },
  run,
};

async function run({ flags, out, signal }: CommandContext): Promise<ExitStatus> {
  const stackFile = await resolveStack(typeof flags["stack"] === "string" ? flags["stack"] : undefined);
  const { derpMap, nodes } = await describe(stackFile, out);
  requireLocal(nodes);
  await requireFreePorts(nodes);
  const relay = await bundle(out);

  // Whatever fails first, a relay's death included, stops the rest.
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const stopped = stopRequest(signal);
  await using fleet = await launch(stackFile, nodes, relay, out, failure.reject);
  const proof = prove(fleet, derpMap, relay, { out, signal });
  await Promise.race([proof, failure.promise, stopped]);
  signal.throwIfAborted();
  const proven = await proof;
  if (proven === 1 || flags["once"] === true) return proven;
  out.note(`\n${count(nodes.length, "relay")} running. Ctrl-C stops all.`);
  await Promise.race([failure.promise, stopped]);
  out.note("stopping");
  return 0;
}

/** @throws KitError `region-not-local` */
function requireLocal(nodes: readonly FleetNode[]): void {
  const elsewhere = nodes.filter(({ location }) => location !== "");
  if (elsewhere.length === 0) return;
  throw new KitError("region-not-local", {
    problems: elsewhere.map(({ name, location }) => ({ path: `node ${name}`, message: `is in ${location}` })),
  });
}

function describe(stackFile: StackFile, out: Output): Promise<ProgramResult> {
  const warn = (message: string): void => out.note(`warning: ${message}`);
  return withStep(
    out,
    `program: stack ${stackFile.stack}`,
    () => runProgram(stackFile, warn),
    ({ derpMap, nodes }) => {
      const regions = regionsOf(derpMap).length;
      return `program: stack ${stackFile.stack}, ${count(regions, "region")}, ${count(nodes.length, "node")}`;
    },
  );
}

function bundle(out: Output): Promise<RelayBundle> {
  return withStep(out, "bundle: relay.mjs", relayBundle, ({ version, code, sha256 }) => {
    return `bundle: relay.mjs ${version}, ${Math.round(code.length / 1_024)} KiB, sha256 ${sha256.slice(0, 12)}`;
  });
}

async function launch(
  { root, stack }: StackFile,
  nodes: readonly FleetNode[],
  relay: RelayBundle,
  out: Output,
  died: (error: KitError) => void,
): Promise<LocalFleet> {
  const signingKey = await loadSigningKey(signingKeyFile(root, stack));
  const log = (node: string, line: string): void => out.note(`  ${node}  ${line}`);
  const options = { root, stack, nodes, relay, signingKey, log, died };
  await publishRegions(options);
  return startLocalFleet(options);
}

/** Waits for the fleet, verifies it, prints the result. */
async function prove(
  fleet: LocalFleet,
  derpMap: ProgramResult["derpMap"],
  relay: RelayBundle,
  { out, signal }: Pick<CommandContext, "out" | "signal">,
): Promise<ExitStatus> {
  await withStep(
    out,
    "relays: fetching, verifying, starting",
    () => fleet.ready,
    () => "relays: all healthy",
  );
  const results = await check(derpMap, relay, out, signal);
  const { ok, gaps } = judge(results);
  out.line(`\n${renderResults(results)}`);
  for (const gap of gaps) out.line(gap);
  if (!out.json) out.line(`\nderpMap:\n${JSON.stringify(derpMap, null, 2)}`);
  out.document({ derpMap, nodes: results, ok });
  if (!ok) out.note("at least one check failed: see the table above");
  return ok ? 0 : 1;
}

async function check(
  derpMap: ProgramResult["derpMap"],
  relay: RelayBundle,
  out: Output,
  signal: AbortSignal,
): Promise<NodeResult[]> {
  const step = out.step("checks");
  let done = 0;
  const progress: OnProgress = ({ node }, { name }) => {
    step.update(`checks: ${++done} done, last ${name} of ${node.Name}`);
  };
  try {
    const options = { signal, expectedOf: () => ({ bundle: relay.sha256 }) };
    const results = await verifyNodes(listTargets(derpMap), options, progress);
    // Checks that were cut short say nothing about the relays.
    signal.throwIfAborted();
    const summary = `checks: ${renderSummary(results)}`;
    if (judge(results).ok) step.done(summary);
    else step.fail(summary);
    return results;
  } catch (error) {
    step.fail();
    throw error;
  }
}

async function stopRequest(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
