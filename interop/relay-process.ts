/** Relays that a suite kills and starts again: the same program, files, flags and ports each time. */
import { type ChildProcess, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { dial } from "../relay/client/dial.ts";
import { certificatePaths } from "../relay/config/certificate-files.ts";
import { certificatePin } from "../relay/crypto/self-signed.ts";
import { type RelayBundle, relayBundle } from "../infra/delivery/relay-bundle.ts";
import { createFiles, type RelayFiles, type RelayKind, removeFiles } from "./conformance/relay-under-test.ts";
import { tailnetProgram } from "./tailnet-check.ts";
import type { TestAuthority } from "./test-authority.ts";
import { freePort } from "./test-ports.ts";

export interface RelayPlace {
  readonly files: RelayFiles;
  readonly derpPort: number;
  readonly stunPort: number;
}

export interface RelayProcessOptions extends RelayPlace {
  readonly kind: RelayKind;
  /** Flags beyond those that every relay gets, by name and without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RelayProcess extends RelayPlace {
  readonly pid: number;
  /** What it has written to standard error, in all its lives. */
  log(): string;
  /** Ends it without a chance to take leave, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again, and waits until it accepts connections. */
  restart(): Promise<void>;
}

/** Characters at the log's end that a test shows when it has failed. */
const shownOfLog = 4_000;
const startWithinMs = 30_000;
const pollMs = 20;

/**
 * Makes the files of a relay, its ports among them, until the end of the test.
 *
 * @param authority issues the certificate; without one it is self-signed, to be pinned
 */
export async function createPlace(
  t: TestContext,
  hostName: string,
  authority: TestAuthority | undefined,
): Promise<RelayPlace> {
  const files = await createFiles(hostName);
  t.after(() => removeFiles(files));
  const [derpPort, stunPort] = [await freePort("tcp"), await freePort("udp")];
  if (authority === undefined) return { files, derpPort, stunPort };
  const { certificatePem, keyPem } = authority.issue(hostName);
  const paths = certificatePaths(path.join(files.folder, "certs"), hostName);
  await writeFile(paths.crt, certificatePem);
  await writeFile(paths.key, keyPem);
  const leaf = new X509Certificate(certificatePem).raw;
  return { files: { ...files, leaf, pin: certificatePin(leaf) }, derpPort, stunPort };
}

/**
 * Starts a relay, which ends with the test, and waits until it accepts connections.
 *
 * @throws Error with its log if it ends instead
 */
export async function startRelayProcess(t: TestContext, options: RelayProcessOptions): Promise<RelayProcess> {
  const { files, derpPort, stunPort } = options;
  const command = await commandOf(options);
  let log = "";
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  const restart = async (): Promise<void> => {
    child = launch(command, options);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (log += text));
    await accepts(child, derpPort).catch((error: unknown) => {
      throw new Error(`${options.kind} does not serve:\n${log}`, { cause: error });
    });
  };
  t.after(async () => {
    await kill();
    const { passed } = t as TestContext & { readonly passed: boolean }; // Node's types lack it.
    if (!passed) t.diagnostic(`${options.kind} on port ${derpPort} wrote:\n${log.slice(-shownOfLog)}`);
  });
  await restart();
  return {
    files,
    derpPort,
    stunPort,
    get pid() {
      return child?.pid ?? 0;
    },
    log: () => log,
    kill,
    restart,
  };
}

function launch(
  [program = "", ...args]: readonly string[],
  { files, env = {} }: RelayProcessOptions,
): ChildProcess {
  const child = spawn(program, args, {
    cwd: files.folder,
    env: { PATH: process.env["PATH"], HOME: files.folder, STATE_DIRECTORY: files.folder, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  return child;
}

async function commandOf(options: RelayProcessOptions): Promise<readonly string[]> {
  const { kind, files, derpPort, stunPort, flags = {} } = options;
  const all = {
    a: `127.0.0.1:${derpPort}`,
    "stun-port": `${stunPort}`,
    "http-port": "-1",
    hostname: files.hostName,
    certmode: "manual",
    certdir: path.join(files.folder, "certs"),
    c: path.join(files.folder, "derper.key"),
    ...flags,
  };
  const args = Object.entries(all).map(([name, value]) => `-${name}=${value}`);
  if (kind === "derper") return [tailnetProgram("derper"), ...args];
  const runtime = kind === "node" ? process.execPath : (process.env["DERPKIT_BUN"] ?? "bun");
  bundled ??= relayBundle();
  const program = path.join(files.folder, "relay.mjs");
  await writeFile(program, (await bundled).code);
  return [runtime, program, ...args];
}

let bundled: Promise<RelayBundle> | undefined;

/** Tries until a connection comes about: no relay says when it listens. */
async function accepts(child: ChildProcess, port: number): Promise<void> {
  const giveUp = AbortSignal.timeout(startWithinMs);
  for (;;) {
    try {
      (await dial({ address: "127.0.0.1", port }, giveUp)).destroy();
      return;
    } catch (error) {
      if (hasEnded(child) || giveUp.aborted) throw error;
      await timers.setTimeout(pollMs);
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
