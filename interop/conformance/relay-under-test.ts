/** The relays that the suite compares: Go's derper, and ours on Node and on Bun; same files, same flags, on loopback. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import timers from "node:timers/promises";
import { renderKeyFile } from "../../relay/crypto/key-file.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { createSelfSigned } from "../../relay/crypto/self-signed.ts";
import { certificatePaths } from "../../relay/config/certificate-files.ts";
import { relayBundle } from "../../infra/delivery/relay-bundle.ts";
import { findProgram, whyNotFound } from "../../scripts/conformance/programs.ts";
import { freePort } from "../test-ports.ts";

export const relayKinds = ["derper", "node", "bun"] as const;
export type RelayKind = (typeof relayKinds)[number];

/** What both sides of a comparison are given. */
export interface RelayFiles {
  /** Holds `derper.key`, the folder `certs`, and what a test adds. */
  readonly folder: string;
  readonly hostName: string;
  readonly relayKey: NodeKey;
  /** DER of the certificate. */
  readonly leaf: Buffer;
  /** What the derpMap's CertName is. */
  readonly pin: string;
}

export interface RelayOptions {
  /** Flags beyond those that every relay gets, by name and without dashes; undefined takes one away. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Where it listens: an address; empty for all, of both families on one socket. Default 127.0.0.1. */
  readonly address?: string;
  /** For DERP, if others have to know it before the relay runs. */
  readonly derpPort?: number;
}

export interface RelayUnderTest extends RelayFiles {
  readonly kind: RelayKind;
  readonly derpPort: number;
  readonly stunPort: number;
  /** Of plain HTTP beside TLS; undefined for a relay that has none. */
  readonly httpPort: number | undefined;
  readonly pid: number;
  /** What it has written to standard error. */
  log(): string;
  /** Asks it to stop. @returns its exit status; null if it had to be killed */
  stop(): Promise<number | null>;
}

/** How a process ended that was not to stay. */
export interface Refusal {
  readonly status: number | null;
  readonly log: string;
}

export const defaultHostName = "relay.derpkit.internal";
const dayMs = 86_400_000;
const startWithinMs = 15_000;
const stopWithinMs = 12_000;
const pollMs = 20;

/** Why a relay cannot be tested on this machine; undefined if it can. */
export function whyMissing(kind: RelayKind): string | undefined {
  if (kind === "node" || findProgram(kind) !== undefined) return undefined;
  return whyNotFound[kind];
}

/** Makes the key and certificate of a relay in a folder that `removeFiles` removes. */
export async function createFiles(hostName = defaultHostName): Promise<RelayFiles> {
  const folder = await mkdtemp(path.join(tmpdir(), "derpkit-conformance-"));
  const certs = path.join(folder, "certs");
  const key = generatePrivateKey();
  const { certificatePem, keyPem, pin } = createSelfSigned({
    hostName,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + 30 * dayMs),
  });
  const paths = certificatePaths(certs, hostName);
  await mkdir(certs);
  await writeFile(paths.crt, certificatePem);
  await writeFile(paths.key, keyPem, { mode: 0o600 });
  await writeFile(path.join(folder, "derper.key"), renderKeyFile(key), { mode: 0o600 });
  return { folder, hostName, relayKey: publicKeyOf(key), leaf: new X509Certificate(certificatePem).raw, pin };
}

export async function removeFiles({ folder }: RelayFiles): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/**
 * Starts a relay and waits until it accepts connections.
 *
 * @throws Error with its log if it ends instead
 */
export async function startRelayUnderTest(
  kind: RelayKind,
  files: RelayFiles,
  options: RelayOptions = {},
  attempts = 3,
): Promise<RelayUnderTest> {
  const ports = await choosePorts(kind, options);
  const child = await launch(kind, files, ports, options);
  const relay = {
    ...files,
    ...ports,
    kind,
    pid: child.process.pid ?? 0,
    log: child.log,
    stop: () => stop(child.process),
  };
  try {
    await accepts(relay, child);
    return relay;
  } catch (error) {
    await relay.stop();
    // Others take ports as well, and one that was free may be gone by now.
    if (attempts <= 1 || !/in[ -]use/.test(child.log())) throw error;
    return await startRelayUnderTest(kind, files, options, attempts - 1);
  }
}

/** Starts a relay that is to refuse its flags or files. @throws Error if it serves instead of ending */
export async function refusal(
  kind: RelayKind,
  files: RelayFiles,
  options: RelayOptions = {},
): Promise<Refusal> {
  const ports = await choosePorts(kind, options);
  const child = await launch(kind, files, ports, options);
  const served = accepts({ ...ports, kind }, child).then(
    () => true,
    () => false,
  );
  if (await served) {
    await stop(child.process);
    throw new Error(`${kind} serves, and should have refused to start:\n${child.log()}`);
  }
  return { status: child.process.exitCode, log: child.log() };
}

type Ports = Pick<RelayUnderTest, "derpPort" | "stunPort" | "httpPort">;

export interface RelayProcess {
  readonly process: ChildProcess;
  readonly log: () => string;
}

async function choosePorts(kind: RelayKind, options: RelayOptions): Promise<Ports> {
  const { derpPort = await freePort("tcp") } = options;
  const stunPort = await freePort("udp");
  const httpPort = knowsFlag(await command(kind), "http-port") ? await freePort("tcp") : undefined;
  return { derpPort, stunPort, httpPort };
}

async function launch(
  kind: RelayKind,
  files: RelayFiles,
  { derpPort, stunPort, httpPort }: Ports,
  { flags = {}, env = {}, address = "127.0.0.1" }: RelayOptions,
): Promise<RelayProcess> {
  const all = {
    a: `${address}:${derpPort}`,
    hostname: files.hostName,
    certmode: "manual",
    certdir: path.join(files.folder, "certs"),
    c: path.join(files.folder, "derper.key"),
    "stun-port": `${stunPort}`,
    "http-port": httpPort === undefined ? undefined : `${httpPort}`,
    // As derper, which lets nobody go in peace: a test that ends waits for its relays.
    drain: kind === "derper" ? undefined : "0s",
    ...flags,
  };
  const args = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`-${name}=${value}`],
  );
  return await spawnRelay(kind, files, args, { STATE_DIRECTORY: files.folder, ...env });
}

/** Runs a relay with a command line, in the folder of its files, which is its home as well. */
export async function spawnRelay(
  kind: RelayKind,
  { folder }: Pick<RelayFiles, "folder">,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RelayProcess> {
  const [program = "", ...before] = await command(kind);
  const child = spawn(program, [...before, ...args], {
    cwd: folder,
    env: { PATH: process.env["PATH"], HOME: folder, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  return { process: child, log: () => log };
}

/**
 * Tries until a connection comes about: neither relay says when it listens.
 *
 * @throws Error with its log if it ends instead
 */
export async function accepts(
  { kind, derpPort, httpPort }: Omit<Ports, "stunPort"> & { kind: RelayKind },
  { process: child, log }: RelayProcess,
): Promise<void> {
  const giveUp = AbortSignal.timeout(startWithinMs);
  for (const port of httpPort === undefined ? [derpPort] : [derpPort, httpPort]) {
    while (!(await canConnect(port))) {
      if (hasEnded(child))
        throw new Error(`${kind} ended with status ${child.exitCode}: ${firstLine(log())}`);
      if (giveUp.aborted) throw new Error(`${kind} does not listen on port ${port}:\n${log()}`);
      await timers.setTimeout(pollMs);
    }
  }
}

/** Of our relay's log the rest is the list of its flags. */
function firstLine(log: string): string {
  return log.split("\n", 1)[0] ?? "";
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** @returns the exit status; null if a signal ended it */
export async function stop(child: ChildProcess): Promise<number | null> {
  if (hasEnded(child)) return child.exitCode;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopWithinMs);
  await ended;
  clearTimeout(late);
  return child.exitCode;
}

const commands = new Map<RelayKind, Promise<readonly string[]>>();

/** The program and its first arguments; ours is bundled once per process. */
function command(kind: RelayKind): Promise<readonly string[]> {
  const known = commands.get(kind) ?? findCommand(kind);
  commands.set(kind, known);
  return known;
}

async function findCommand(kind: RelayKind): Promise<readonly string[]> {
  const program = kind === "node" ? process.execPath : findProgram(kind);
  if (program === undefined) throw new Error(whyMissing(kind));
  return kind === "derper" ? [program] : [program, await bundleFile()];
}

let bundled: Promise<string> | undefined;

function bundleFile(): Promise<string> {
  bundled ??= writeBundle();
  return bundled;
}

async function writeBundle(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "derpkit-conformance-bundle-"));
  process.once("exit", () => spawnSync("rm", ["-rf", folder]));
  const file = path.join(folder, "relay.mjs");
  await writeFile(file, (await relayBundle()).code);
  return file;
}

const usages = new Map<string, string>();

/** Tells whether a relay's usage lists a flag. */
function knowsFlag([program = "", ...before]: readonly string[], flag: string): boolean {
  const usage = usages.get(program) ?? readUsage(program, before);
  usages.set(program, usage);
  return new RegExp(`^  -${flag}\\b`, "m").test(usage);
}

function readUsage(program: string, before: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, [...before, "-help"], { encoding: "utf8" });
  return stdout + stderr;
}
