/** A relay as a child process: what systemd is on a virtual machine, `npm start` is here. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { KitError } from "../../relay/errors.ts";
import type { Release, Service } from "../../relay/updater/service.ts";
import { checkHealth } from "../verify/checks/http.ts";
import type { Route } from "../verify/probe-client.ts";

export interface ChildServiceOptions {
  /** The node's name, for messages. */
  readonly node: string;
  /** How the relay is asked for its health. */
  readonly route: Route;
  /** What /var/lib/derpkit is on a virtual machine; absolute. */
  readonly stateDirectory: string;
  /** Longest wait for a relay that was asked to stop; then it is killed, which even a stopped process cannot refuse. */
  readonly stopWithinMs?: number;
  /** A line that the relay printed. */
  readonly log: (line: string) => void;
  /** The relay ended and nobody asked it to. */
  readonly died: (error: KitError) => void;
}

/** A relay lets its clients go over 5 s, and then has 5 s for the rest. */
const stopWithinMs = 12_000;
const healthEveryMs = 50;
const healthAnswerMs = 2_000;
/** Lines of a relay that are shown if it dies. */
const keptLines = 12;

/**
 * Relays that run. What ends this process without stopping them, such as a second Ctrl-C, takes them along; the end of
 * their standard input does not, if one hangs.
 */
const alive = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

interface Running {
  readonly release: Release;
  readonly child: ChildProcess;
  /** Resolves when the process has ended. */
  readonly ended: Promise<KitError>;
  stopping: boolean;
  /** Before it has been healthy once, that it ends is the updater's to know, which goes back to another release. */
  wasHealthy: boolean;
}

/** Makes the service of one node. Nothing runs yet. */
export function createChildService(options: ChildServiceOptions): Service {
  let running: Running | undefined;

  const stop = async (): Promise<void> => {
    const relay = running;
    if (relay === undefined) return;
    relay.stopping = true;
    relay.child.kill("SIGTERM");
    const killing = new AbortController();
    const kill = sleep(options.stopWithinMs ?? stopWithinMs, undefined, { signal: killing.signal }).then(
      () => relay.child.kill("SIGKILL"),
      () => {},
    );
    await relay.ended;
    killing.abort();
    await kill;
    if (running === relay) running = undefined;
  };

  return {
    stop,
    async start(release) {
      if (running?.release.digest === release.digest) return;
      await stop();
      await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
      running = launch(release, options, () => {
        running = undefined;
      });
    },
    async healthy(release, signal) {
      const relay = running;
      if (relay?.release.digest !== release.digest) throw exited(options.node, "it is not running", []);
      let reason: unknown;
      while (!signal.aborted) {
        const asked = await Promise.race([askHealth(options.route, release.sha256, signal), relay.ended]);
        if (asked === "healthy") {
          relay.wasHealthy = true;
          return;
        }
        if (asked instanceof KitError) throw asked;
        reason = asked;
        await sleep(healthEveryMs, undefined, { signal }).catch(() => {});
      }
      throw new KitError("relay-not-ready", { where: `node ${options.node}`, cause: reason });
    },
  };
}

/** Gives `healthy` or the reason why not. */
async function askHealth(route: Route, bundle: string, signal: AbortSignal): Promise<unknown> {
  try {
    await checkHealth({ route }, { bundle }, AbortSignal.any([signal, AbortSignal.timeout(healthAnswerMs)]));
    return "healthy";
  } catch (reason) {
    return reason;
  }
}

function launch(release: Release, options: ChildServiceOptions, forget: () => void): Running {
  const { stateDirectory, node, log, died } = options;
  // A process group of its own: a Ctrl-C of the terminal reaches us alone, and we stop the relays in order. Should we be
  // killed, standard input ends and with it the relay.
  const child = spawn(process.execPath, [release.code, "-config", release.config, "-exit-on-stdin-end"], {
    cwd: stateDirectory,
    env: { PATH: process.env["PATH"], STATE_DIRECTORY: stateDirectory },
    stdio: ["pipe", "ignore", "pipe"],
    detached: true,
  });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    log(line);
    if (lines.push(line) > keptLines) lines.shift();
  });
  child.stdin.on("error", () => {}); // The relay closed it; how it ends is told by its exit.
  const ended = once(child, "close").then(
    ([code, signal]) => exited(node, signal === null ? `exit status ${code}` : `signal ${signal}`, lines),
    (cause: unknown) => exited(node, "it could not be started", [], cause),
  );
  alive.add(child);
  const running: Running = { release, child, ended, stopping: false, wasHealthy: false };
  void ended.then((error) => {
    alive.delete(child);
    if (running.stopping) return;
    forget();
    if (running.wasHealthy) died(error);
  });
  return running;
}

function exited(node: string, how: string, lines: readonly string[], cause?: unknown): KitError {
  const said = lines.length === 0 ? [] : [{ path: "it said", message: `\n    ${lines.join("\n    ")}` }];
  return new KitError("relay-exited", {
    where: `node ${node}`,
    message: `The relay ended: ${how}.`,
    problems: said,
    cause,
  });
}
