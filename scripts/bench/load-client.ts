/**
 * A process that loads a relay in ways that derpbench cannot: `node load-client.ts TASK`, a task being JSON. It prints one
 * line of JSON, and before it, if others wait for its connections, the line `ready`; then it goes on when its standard
 * input ends.
 */
import { once } from "node:events";
import process from "node:process";
import { RelayFailure } from "../../relay/client/failure.ts";
import { RunFailed, type Values } from "./derpbench.ts";
import { type FloodTask, loadFlood } from "./load/flood.ts";
import { type IdleTask, loadIdle } from "./load/idle.ts";
import { loadMesh, type MeshTask } from "./load/mesh.ts";
import { loadPing, type PingTask } from "./load/ping.ts";
import { loadThrottled, type ThrottledTask } from "./load/throttled.ts";

export type LoadTask = ThrottledTask | FloodTask | IdleTask | MeshTask | PingTask;

export const readyLine = "ready";

async function load(task: LoadTask): Promise<Values> {
  switch (task.task) {
    case "throttled":
      return await loadThrottled(task);
    case "flood":
      return await loadFlood(task);
    case "mesh":
      return await loadMesh(task);
    case "ping":
      return await loadPing(task);
    case "idle":
    default: {
      const end = once(process.stdin.resume(), "end");
      return await loadIdle(task, () => process.stdout.write(`${readyLine}\n`), end);
    }
  }
}

if (import.meta.main) {
  try {
    const values = await load(JSON.parse(process.argv[2] ?? "") as LoadTask);
    process.stdout.write(`${JSON.stringify(values)}\n`);
    process.exit(0);
  } catch (error) {
    const known = error instanceof RunFailed || error instanceof RelayFailure;
    process.stderr.write(`${known ? error.message : String((error as Error).stack)}\n`);
    process.exit(1);
  }
}
