/** Unmodified Tailscale clients as processes: `tailscaled` without a network interface, joined by `tailscale up`. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { promisify } from "node:util";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { tailnetProgram } from "./tailnet-check.ts";
import { TailscaleClient } from "./tailscale-client.ts";

/** Why there are no clients on this machine; undefined if there are. */
export const whyNoTailscaled = ["tailscaled", "tailscale"].every((name) => existsSync(tailnetProgram(name)))
  ? undefined
  : "there are no Tailscale clients: DERPKIT_TAILNET_CHECK does not name their folder";

/** Nothing leaves this machine, and packets go by relays only. */
const settings = {
  TS_NO_LOGS_NO_SUPPORT: "true",
  TS_DISABLE_PORTMAPPER: "true",
  TS_PANIC_IF_HIT_MAIN_CONTROL: "1",
  TS_DEBUG_DISABLE_PORTLIST: "true",
  TS_DEBUG_NEVER_DIRECT_UDP: "true",
};
const joinWithin = "60s";
const pollMs = 50;
/** Lines at the log's end that a test shows when it has failed. */
const shownOfLog = 40;

interface LogLine {
  /** `performance.now()` */
  readonly at: number;
  readonly text: string;
}

export class Tailscaled extends TailscaleClient {
  readonly name: string;
  readonly #log: readonly LogLine[];

  constructor(name: string, socket: string, log: readonly LogLine[]) {
    super(socket);
    this.name = name;
    this.#log = log;
  }

  /** When it last wrote that it is connected to a region, as `performance.now()`. @throws Error if it never was */
  connectedAt(region: number): number {
    const line = this.#log.findLast(({ text }) => text.includes(`derp-${region} connected`));
    if (line === undefined) throw new Error(`${this.name} was never connected to region ${region}`);
    return line.at;
  }
}

/**
 * Starts a client, which ends with the test, and waits until it has joined.
 *
 * @throws Error with what it wrote
 */
export async function startTailscaled(t: TestContext, name: string, controlUrl: string): Promise<Tailscaled> {
  const folder = temporaryFolder(t);
  const socket = path.join(folder, "s");
  const log: LogLine[] = [];
  const child = spawn(
    tailnetProgram("tailscaled"),
    ["--tun=userspace-networking", "--state=mem:", `--statedir=${folder}`, `--socket=${socket}`, "--port=0"],
    {
      cwd: folder,
      env: { PATH: process.env["PATH"], HOME: folder, ...settings },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  createInterface({ input: child.stderr }).on("line", (text) => log.push({ at: performance.now(), text }));
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const ended = once(child, "exit");
  t.after(async () => {
    process.off("exit", kill);
    kill();
    await ended;
    const { passed } = t as TestContext & { readonly passed: boolean }; // Node's types lack it.
    const last = log.slice(-shownOfLog).map(({ text }) => text);
    if (!passed) t.diagnostic(`${name} wrote:\n${last.join("\n")}`);
  });
  while (!existsSync(socket)) {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${log.map(({ text }) => text).join("\n")}`);
    await timers.setTimeout(pollMs, undefined, { signal: t.signal });
  }
  await promisify(execFile)(tailnetProgram("tailscale"), [
    `--socket=${socket}`,
    "up",
    `--login-server=${controlUrl}`,
    `--hostname=${name}`,
    "--accept-dns=false",
    `--timeout=${joinWithin}`,
  ]);
  return new Tailscaled(name, socket, log);
}
