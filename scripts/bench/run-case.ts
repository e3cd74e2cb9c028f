/** Does the work of a case on a relay, and gives the values that its figures are taken from. */
import { once } from "node:events";
import process from "node:process";
import path from "node:path";
import { createInterface } from "node:readline";
import timers from "node:timers/promises";
import type { LoadWork, Work } from "./cases.ts";
import { allowFiles, type Cpus, pinCommand } from "./cpus.ts";
import {
  connectionArguments,
  latencyArguments,
  loadArguments,
  parseConnections,
  parseLoad,
  parseValues,
  RunFailed,
  type Values,
} from "./derpbench.ts";
import { type LoadTask, readyLine } from "./load-client.ts";
import { residentMemory, watchMemory } from "./memory.ts";
import { floodEnd, type Scale, settleOf } from "./plan.ts";
import { type Program, runProgram, startProgram } from "./processes.ts";
import { hostName, type Server } from "./server.ts";

/** How a client of our own is run. */
export interface ClientTools {
  readonly cpus: Cpus | undefined;
  readonly openFiles: number;
  /** Puts a command where the relay can be reached. */
  readonly enter: (command: readonly string[]) => readonly string[];
}

export interface Tools extends ClientTools {
  /** Path of derpbench; undefined where it could not be had. */
  readonly derpbench: string | undefined;
  readonly scale: Scale;
}

/** True for work that derpbench has a part in. */
export function needsDerpbench({ kind }: Work): boolean {
  return kind !== "throttled" && kind !== "flood" && kind !== "idle" && kind !== "mesh";
}

/**
 * Does the work once.
 *
 * @throws RunFailed if the relay does not get through it
 */
export async function runCase(
  work: Work,
  server: Server,
  tools: Tools,
  signal: AbortSignal,
): Promise<Values> {
  const { scale } = tools;
  const target = { hostName, port: server.port, pin: server.pin, pid: server.pid };
  switch (work.kind) {
    case "load":
      return await load(work, server, tools, signal);
    case "latency": {
      const times = { warmup: scale.warmup, time: scale.load };
      return parseLoad(await derpbench(latencyArguments(server, times), tools, signal));
    }
    case "connections": {
      const count = work.count / scale.divisor;
      const args = connectionArguments(server, count, settleOf(scale));
      return parseConnections(await derpbench(args, tools, signal));
    }
    case "stalled":
      return await loadStalled(work.receivers / scale.divisor, work.size, server, tools, signal);
    case "throttled": {
      const { kind, ...rates } = work;
      return await loadOwn({ task: kind, target, ...rates, seconds: scale.slow }, tools, signal);
    }
    case "flood": {
      const { kind, ...rates } = work;
      const times = { warmup: scale.warmup, seconds: scale.slow, end: floodEnd };
      return await loadOwn({ task: kind, target, ...rates, ...times }, tools, signal);
    }
    case "mesh": {
      const { kind, ...rates } = work;
      const other = { ...target, ...server.meshed };
      const times = { warmup: scale.warmup, seconds: scale.load };
      return await loadOwn({ task: kind, targets: [target, other], ...rates, ...times }, tools, signal);
    }
    case "rest": {
      const idle = { task: "idle", target, count: 2 * work.load.pairs } as const;
      return (await whileIdle(idle, tools, signal, () => rest(work.load, server, tools, signal))).during;
    }
    case "idle":
    default: {
      const idle = { task: "idle", target, count: work.count / scale.divisor } as const;
      const ping = { task: "ping", target, everyMs: work.pingEveryMs, seconds: scale.idle } as const;
      const { during, after } = await whileIdle(idle, tools, signal, () => loadOwn(ping, tools, signal));
      return { ...during, ...after };
    }
  }
}

async function load(
  work: Omit<LoadWork, "kind">,
  server: Server,
  tools: Tools,
  signal: AbortSignal,
  time = tools.scale.load,
  stalled = 0,
): Promise<Values> {
  const times = { warmup: tools.scale.warmup, time };
  return parseLoad(await derpbench(loadArguments(server, work, times, stalled), tools, signal));
}

/** Growth is from a relay with as many idle connections, in MiB. One pair shows that the relay still serves others. */
async function loadStalled(
  receivers: number,
  size: number,
  server: Server,
  tools: Tools,
  signal: AbortSignal,
): Promise<Values> {
  const connected = connectionArguments(server, 2 * receivers, settleOf(tools.scale));
  const { memory = NaN } = parseConnections(await derpbench(connected, tools, signal));
  const others = { pairs: 1, size, window: 32, rate: 100 };
  const stalled = load(others, server, tools, signal, tools.scale.slow, receivers);
  const { result, peak } = await watchMemory(server.pid, stalled);
  return { growth: peak - memory, peak, dropped: result["dropped"] ?? NaN };
}

async function rest(work: LoadWork, server: Server, tools: Tools, signal: AbortSignal): Promise<Values> {
  const { peak } = await watchMemory(server.pid, load(work, server, tools, signal, tools.scale.slow));
  await timers.setTimeout(tools.scale.settle * 1_000, undefined, { signal });
  return { resident: await residentMemory(server.pid), peak };
}

/** Does something while idle connections are there. @returns what came of it, and what of them afterwards */
export async function whileIdle<T>(
  task: LoadTask & { task: "idle" },
  tools: ClientTools,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<{ readonly during: T; readonly after: Values }> {
  await using client = startProgram(loadCommand(task, tools), { output: "pipe" });
  const lines = readLines(client, signal);
  if ((await lines.next()) !== readyLine) throw new RunFailed("the idle connections could not be set up");
  const during = await work();
  client.process.stdin?.end();
  return { during, after: parseValues(await lines.next()) };
}

/** The lines of a program, one by one. A line that does not come is a failure that the program has explained. */
function readLines(program: Program, signal: AbortSignal): { next(): Promise<string> } {
  if (program.process.stdout === null) throw new Error("the output is no pipe");
  const lines = createInterface({ input: program.process.stdout })[Symbol.asyncIterator]();
  const kill = (): boolean => program.process.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  return {
    async next() {
      const { value, done = false }: IteratorResult<string, undefined> = await lines.next();
      signal.throwIfAborted();
      if (!done && value !== undefined) return value;
      if (program.process.exitCode === null && program.process.signalCode === null)
        await once(program.process, "close");
      throw new RunFailed(program.log().trimEnd().split("\n").at(-1) || "the load client ended");
    },
  };
}

/** Runs a task to its end. @throws RunFailed if the relay does not get through it */
export async function loadOwn(task: LoadTask, tools: ClientTools, signal: AbortSignal): Promise<Values> {
  return parseValues(await runProgram(loadCommand(task, tools), signal));
}

function loadCommand(task: LoadTask, { cpus, openFiles, enter }: ClientTools): readonly string[] {
  const program = path.join(import.meta.dirname, "load-client.ts");
  const command = [process.execPath, program, JSON.stringify(task)];
  return enter(allowFiles(openFiles, pinCommand(cpus?.generator, command)));
}

async function derpbench(args: readonly string[], tools: Tools, signal: AbortSignal): Promise<string> {
  if (tools.derpbench === undefined) throw new Error("the case should have been left out");
  const command = pinCommand(tools.cpus?.generator, [tools.derpbench, ...args]);
  return await runProgram(allowFiles(tools.openFiles, command), signal);
}
