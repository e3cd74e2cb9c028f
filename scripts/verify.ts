/** `npm run verify`: probes every node of a stack or derpMap from here, as a Tailscale client does. */
import { X509Certificate } from "node:crypto";
import process from "node:process";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import { relayBundle } from "../infra/delivery/relay-bundle.ts";
import { type DerpMap, regionsOf } from "../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../infra/derpmap/parse.ts";
import { readText } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { resolveStack } from "./cli/stack-file.ts";
import { readStackFleet } from "./cli/stack-fleet.ts";
import type { ExpectedRelease } from "./verify/checks/http.ts";
import { parsePlace } from "./verify/detour.ts";
import { readDetours } from "./verify/read-detours.ts";
import { renderResults, renderSummary } from "./verify/render.ts";
import { type Family, listTargets, type Target } from "./verify/target.ts";
import { judge, verifyNodes, type VerifyOptions } from "./verify/verify.ts";

export const command: Command = {
  name: "verify",
  summary: "Check every node of a stack or a derpMap from here, as a Tailscale client does.",
  usage: "(--stack NAME | --derpmap FILE) [--node NAME] [--region CODE|ID] [--require FAMILY] …",
  about: [
    "Checks TLS and the certificate, the DERP login, packets between two clients, STUN and the HTTP answers of each",
    "node. A check passes, fails, or cannot be tested from here. Good is: no check failed, and every node could be",
    "tested over every required family. Of a stack the nodes are those that its last `up` gave; with --released each has",
    "to run the relay of this kit, and the release that was published last where the stack delivers.",
    "",
    "  npm run verify -- --stack local",
    "  npm run verify -- --stack prod --released",
    "  npm run verify -- --derpmap map.json --require ipv4 --require ipv6",
    "  npm run verify -- --derpmap - --connect-to 203.0.113.5:443=127.0.0.1:8443 < map.json",
  ].join("\n"),
  flags: {
    stack: {
      type: "string",
      value: "NAME",
      help: "a stack: NAME of Pulumi.<NAME>.yaml, or the path of such a file",
    },
    derpmap: { type: "string", value: "FILE", help: "a derpMap as JSON; - is standard input" },
    node: { type: "string", multiple: true, value: "NAME", help: "only this node (repeatable)" },
    region: { type: "string", multiple: true, value: "CODE|ID", help: "only this region (repeatable)" },
    "connect-to": {
      type: "string",
      multiple: true,
      value: "PUBLIC:PORT=HOST:PORT",
      help: "connect to HOST:PORT where the map says PUBLIC:PORT, TCP and UDP (repeatable; DERPKIT_CONNECT_TO, commas)",
    },
    ca: {
      type: "string",
      multiple: true,
      value: "FILE",
      help: "trust these certificates too, PEM (repeatable)",
    },
    require: {
      type: "string",
      multiple: true,
      value: "FAMILY",
      help: "ipv4 or ipv6: fail where it cannot be tested (repeatable; default ipv4)",
    },
    timeout: { type: "string", value: "SECONDS", help: "for each check (default 10)" },
    "expect-bundle": { type: "string", value: "SHA256", help: "the bundle that every node has to run" },
    released: {
      type: "boolean",
      help: "with --stack: every node has to run this kit's relay and what was published last",
    },
    closed: {
      type: "boolean",
      help: "with --derpmap: the relays let in only those they know, so a refused login is no fault (a stack says so itself)",
    },
    "control-stun": {
      type: "string",
      value: "HOST:PORT",
      help: "a STUN server that works: tells silent nodes from a network without UDP",
    },
  },
  run,
};

async function run({ flags, out, signal }: CommandContext): Promise<ExitStatus> {
  const required = readFamilies(listOf(flags.require));
  const { map, closedRegions, expectedOf } = await readFleet(flags, out, signal);
  const options = { ...(await readOptions(flags, signal)), closedRegions, ...(expectedOf && { expectedOf }) };
  const targets = select(map, flags);
  const step = out.step(`verifying ${targets.length} nodes`);
  let done = 0;
  const results = await verifyNodes(targets, options, ({ node }, { name, status }) => {
    done += 1;
    step.update(`verifying ${targets.length} nodes: ${done} checks done, ${node.Name} ${name} ${status}`);
  });
  if (signal.aborted) step.fail();
  signal.throwIfAborted();
  const { ok, gaps } = judge(results, required);
  if (ok) step.done(renderSummary(results));
  else step.fail(renderSummary(results));
  out.line(renderResults(results));
  for (const gap of gaps) out.note(gap);
  out.document({ ok, nodes: results });
  return ok ? 0 : 1;
}

type Flags = CommandContext["flags"];

async function readOptions(flags: Flags, signal: AbortSignal): Promise<VerifyOptions> {
  const bundle = textOf(flags["expect-bundle"])?.toLowerCase();
  if (bundle !== undefined && !/^[0-9a-f]{64}$/.test(bundle)) {
    throw usage("--expect-bundle takes 64 hex digits.");
  }
  const control = textOf(flags["control-stun"]);
  const controlStun = control === undefined ? undefined : parsePlace(control);
  if (control !== undefined && controlStun === undefined) throw usage("--control-stun takes HOST:PORT.");
  const timeout = textOf(flags.timeout);
  return {
    signal,
    detours: readDetours(listOf(flags["connect-to"]), process.env),
    extraRoots: await Promise.all(listOf(flags.ca).map(readRoots)),
    ...(timeout === undefined ? {} : { timeoutMs: readSeconds(timeout) * 1_000 }),
    ...(bundle === undefined ? {} : { expectedOf: () => ({ bundle }) }),
    ...(controlStun === undefined ? {} : { controlStun }),
  };
}

function readFamilies(texts: readonly string[]): Family[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.map((family) => {
    if (family !== "ipv4" && family !== "ipv6") throw usage("--require takes ipv4 or ipv6.");
    return family;
  });
}

function readSeconds(digits: string): number {
  const seconds = Number(digits);
  if (!(seconds > 0 && seconds <= 3_600)) {
    throw usage("--timeout takes seconds, more than 0 and at most 3600.");
  }
  return seconds;
}

/** @returns the file's text; it may hold several certificates */
async function readRoots(file: string): Promise<string> {
  const pem = await readText(file);
  if (!isCertificate(pem)) throw usage(`--ca takes a PEM file with certificates, and ${file} is none.`);
  return pem;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

interface Fleet {
  readonly map: DerpMap;
  readonly closedRegions: ReadonlySet<string>;
  /** What each node has to run, by its name; undefined if nobody asked. */
  readonly expectedOf?: (node: string) => ExpectedRelease;
}

async function readFleet(flags: Flags, out: CommandContext["out"], signal: AbortSignal): Promise<Fleet> {
  const [stack, file] = [textOf(flags.stack), textOf(flags.derpmap)];
  if ((stack === undefined) === (file === undefined)) throw usage("Give either --stack or --derpmap.");
  const isReleased = flags["released"] === true;
  if (file === undefined) return await readStack(stack, isReleased, out);
  if (isReleased) throw usage("--released is for a stack, which knows what it published.");
  const map = parseDerpMap(file === "-" ? await readInput(signal) : await readText(file));
  const all = regionsOf(map).map(({ RegionCode }) => RegionCode);
  return { map, closedRegions: new Set(flags["closed"] === true ? all : []) };
}

async function readStack(
  stack: string | undefined,
  isReleased: boolean,
  out: CommandContext["out"],
): Promise<Fleet> {
  const warn = (message: string): void => out.note(`warning: ${message}`);
  const fleet = await readStackFleet(await resolveStack(stack), warn);
  const found = { map: fleet.derpMap, closedRegions: fleet.closed };
  if (!isReleased) return found;
  const { sha256: bundle } = await relayBundle();
  const regionOf = new Map(fleet.nodes.map(({ name, regionCode }) => [name, regionCode]));
  return {
    ...found,
    expectedOf: (node) => ({
      bundle,
      sequence: fleet.releases[regionOf.get(node) ?? ""]?.sequence,
      secrets: fleet.releases[`${regionOf.get(node)}/${node}`]?.sequence,
    }),
  };
}

function select(map: DerpMap, flags: Flags): Target[] {
  const [nodes, regions] = [listOf(flags.node), listOf(flags.region)];
  const targets = listTargets(map, {
    ...(nodes.length > 0 ? { nodes } : {}),
    ...(regions.length > 0 ? { regions } : {}),
  });
  if (targets.length === 0) {
    throw usage("There is no such node in the map.", "Look at the map, and at --node and --region.");
  }
  return targets;
}

/** Standard input to its end, which at a terminal is the person's to give. */
async function readInput(signal: AbortSignal): Promise<string> {
  try {
    return await text(addAbortSignal(signal, process.stdin));
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function usage(message: string, fix?: string): KitError {
  return new KitError("usage", { message, ...(fix === undefined ? {} : { fix }) });
}

function textOf(flag: Flags[string]): string | undefined {
  return typeof flag === "string" ? flag : undefined;
}

function listOf(flag: Flags[string]): readonly string[] {
  return Array.isArray(flag) ? flag : [];
}
