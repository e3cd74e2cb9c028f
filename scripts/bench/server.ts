/** The relays that are measured: the same files, flags and address, each on the CPU of servers. */
import { randomBytes, randomInt } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import timers from "node:timers/promises";
import { chooseFreePort } from "../../infra/clouds/free-port.ts";
import { certificatePaths } from "../../relay/config/certificate-files.ts";
import { renderKeyFile } from "../../relay/crypto/key-file.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { createSelfSigned, manualValidity } from "../../relay/crypto/self-signed.ts";
import { allowFiles, type Cpus, pinCommand } from "./cpus.ts";
import { type LoadTarget, RunFailed } from "./derpbench.ts";
import type { ServerKind } from "./figures.ts";
import { hasEnded, type Program, startProgram } from "./processes.ts";

/** What every relay is given: derpbench knows it by its address, so that is its name. */
export const hostName = "127.0.0.1";
const startWithinMs = 15_000;
const pollMs = 20;

/** Files of the relays, until they are disposed of. */
export interface ServerFiles extends AsyncDisposable {
  readonly folder: string;
  /** The program of ours. */
  readonly relay: string;
  /** CertName of the certificate that all of them show. */
  readonly pin: string;
}

export interface Server extends LoadTarget, AsyncDisposable {
  readonly kind: ServerKind;
  readonly pin: string;
  /** The region's other relay, of a mesh. */
  readonly meshed?: LoadTarget;
}

export interface ServerOptions {
  readonly kind: ServerKind;
  /** derper, Node or Bun. */
  readonly program: string;
  readonly files: ServerFiles;
  readonly cpus: Cpus | undefined;
  readonly openFiles: number;
  /** Puts a command into the network that the relay is to be in. */
  readonly enter: (command: readonly string[]) => readonly string[];
}

/** Makes keys, certificate (EC P-256, as Let's Encrypt's) and program. @param code relay.mjs */
export async function createServerFiles(code: Uint8Array): Promise<ServerFiles> {
  const folder = await mkdtemp(path.join(tmpdir(), "derpkit-bench-"));
  const certs = path.join(folder, "certs");
  const relay = path.join(folder, "relay.mjs");
  const { certificatePem, keyPem, pin } = createSelfSigned({ hostName, ...manualValidity(new Date()) });
  const paths = certificatePaths(certs, hostName);
  await mkdir(certs);
  await writeFile(paths.crt, certificatePem);
  await writeFile(paths.key, keyPem, { mode: 0o600 });
  for (const file of [keyFile(folder), otherKeyFile(folder)]) {
    await writeFile(file, renderKeyFile(generatePrivateKey()), { mode: 0o600 });
  }
  await writeFile(meshKeyFile(folder), randomBytes(32).toString("hex"), { mode: 0o600 });
  await writeFile(relay, code);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return { folder, relay, pin, [Symbol.asyncDispose]: remove };
}

/**
 * Starts a relay and waits until it listens.
 *
 * @throws RunFailed if it ends instead
 */
export async function startServer(options: ServerOptions, signal: AbortSignal): Promise<Server> {
  const port = await chooseFreePort("tcp", new Set(), randomInt);
  return await startOn(port, serverFlags(options.files.folder, port), options, signal);
}

/**
 * Starts two relays of one region, both on the CPU of servers.
 *
 * @throws RunFailed if one ends instead
 */
export async function startMesh(options: ServerOptions, signal: AbortSignal): Promise<Server> {
  const { folder } = options.files;
  const one = await chooseFreePort("tcp", new Set(), randomInt);
  const two = await chooseFreePort("tcp", new Set([one]), randomInt);
  const meshFlags = (other: number): string[] => [
    `-mesh-psk-file=${meshKeyFile(folder)}`,
    `-mesh-with=${hostName}:${other}`,
  ];
  const first = await startOn(one, [...serverFlags(folder, one), ...meshFlags(two)], options, signal);
  try {
    const flags = [...serverFlags(folder, two, otherKeyFile(folder)), ...meshFlags(one)];
    const second = await startOn(two, flags, options, signal);
    const stop = async (): Promise<void> => {
      await Promise.all([first, second].map((server) => server[Symbol.asyncDispose]()));
    };
    return { ...first, meshed: { port: two, pid: second.pid }, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await first[Symbol.asyncDispose]();
    throw error;
  }
}

async function startOn(
  port: number,
  flags: readonly string[],
  { kind, program, files, cpus, openFiles, enter }: ServerOptions,
  signal: AbortSignal,
): Promise<Server> {
  const command = [program, ...(kind === "derper" ? [] : [files.relay]), ...flags];
  const running = startProgram(enter(allowFiles(openFiles, pinCommand(cpus?.server, command))), {
    cwd: files.folder,
    env: {
      PATH: process.env["PATH"],
      HOME: files.folder,
      STATE_DIRECTORY: files.folder,
      // What the other relay of a mesh shows is trusted as a root.
      SSL_CERT_FILE: certificatePaths(path.join(files.folder, "certs"), hostName).crt,
    },
  });
  try {
    await listens(running, port, signal);
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
  const pid = running.process.pid ?? 0;
  return { kind, port, pid, pin: files.pin, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** derper's, and so ours. What is not here is as by default. */
export function serverFlags(folder: string, port: number, key = keyFile(folder)): string[] {
  return [
    `-a=${hostName}:${port}`,
    `-hostname=${hostName}`,
    "-certmode=manual",
    `-certdir=${path.join(folder, "certs")}`,
    `-c=${key}`,
    "-http-port=-1",
    "-stun=false",
  ];
}

function keyFile(folder: string): string {
  return path.join(folder, "derper.key");
}

/** Of the second relay of a mesh. */
function otherKeyFile(folder: string): string {
  return path.join(folder, "derper-2.key");
}

function meshKeyFile(folder: string): string {
  return path.join(folder, "mesh.key");
}

/** Looks at the sockets of its network until it listens: no relay says when it does. */
async function listens({ process: child, log }: Program, port: number, signal: AbortSignal): Promise<void> {
  const giveUp = performance.now() + startWithinMs;
  while (!(await isListening(child.pid ?? 0, port))) {
    signal.throwIfAborted();
    if (hasEnded(child)) throw new RunFailed(`the relay ended: ${log().trim().split("\n", 1)[0]}`);
    if (performance.now() > giveUp) throw new RunFailed("the relay does not listen");
    await timers.setTimeout(pollMs);
  }
}

/** True if somebody listens on a port in a process' network: state 0A is LISTEN. */
async function isListening(pid: number, port: number): Promise<boolean> {
  const sockets = await readFile(`/proc/${pid}/net/tcp`, "latin1").catch(() => "");
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  return new RegExp(`^ *\\d+: [0-9A-F]{8}:${hexPort} 00000000:0000 0A `, "m").test(sockets);
}
