/** The relays that are measured: the same files, flags and address, each on the CPU of servers. */
import { randomInt } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import timers from "node:timers/promises";
import { chooseFreePort } from "../../infra/clouds/free-port.ts";
import { dial } from "../../relay/client/dial.ts";
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
}

export interface ServerOptions {
  readonly kind: ServerKind;
  /** derper, Node or Bun. */
  readonly program: string;
  readonly files: ServerFiles;
  readonly cpus: Cpus | undefined;
  readonly openFiles: number;
}

/** Makes key, certificate (EC P-256, as Let's Encrypt's) and program. @param code relay.mjs */
export async function createServerFiles(code: Uint8Array): Promise<ServerFiles> {
  const folder = await mkdtemp(path.join(tmpdir(), "derpkit-bench-"));
  const certs = path.join(folder, "certs");
  const relay = path.join(folder, "relay.mjs");
  const { certificatePem, keyPem, pin } = createSelfSigned({ hostName, ...manualValidity(new Date()) });
  const paths = certificatePaths(certs, hostName);
  await mkdir(certs);
  await writeFile(paths.crt, certificatePem);
  await writeFile(paths.key, keyPem, { mode: 0o600 });
  await writeFile(keyFile(folder), renderKeyFile(generatePrivateKey()), { mode: 0o600 });
  await writeFile(relay, code);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return { folder, relay, pin, [Symbol.asyncDispose]: remove };
}

/**
 * Starts a relay and waits until it accepts connections.
 *
 * @throws RunFailed if it ends instead
 */
export async function startServer(options: ServerOptions, signal: AbortSignal): Promise<Server> {
  const { kind, program, files, cpus, openFiles } = options;
  const port = await chooseFreePort("tcp", new Set(), randomInt);
  const command = [program, ...(kind === "derper" ? [] : [files.relay]), ...serverFlags(files.folder, port)];
  const running = startProgram(allowFiles(openFiles, pinCommand(cpus?.server, command)), {
    cwd: files.folder,
    env: { PATH: process.env["PATH"], HOME: files.folder, STATE_DIRECTORY: files.folder },
  });
  try {
    await accepts(running, port, signal);
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
  const pid = running.process.pid ?? 0;
  return { kind, port, pid, pin: files.pin, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** derper's, and so ours. What is not here is as by default. */
export function serverFlags(folder: string, port: number): string[] {
  return [
    `-a=${hostName}:${port}`,
    `-hostname=${hostName}`,
    "-certmode=manual",
    `-certdir=${path.join(folder, "certs")}`,
    `-c=${keyFile(folder)}`,
    "-http-port=-1",
    "-stun=false",
  ];
}

function keyFile(folder: string): string {
  return path.join(folder, "derper.key");
}

/** Tries until a connection comes about: no relay says when it listens. */
async function accepts({ process: child, log }: Program, port: number, signal: AbortSignal): Promise<void> {
  const giveUp = AbortSignal.any([signal, AbortSignal.timeout(startWithinMs)]);
  for (;;) {
    try {
      (await dial({ address: "127.0.0.1", port }, giveUp)).destroy();
      return;
    } catch {
      signal.throwIfAborted();
      if (hasEnded(child)) throw new RunFailed(`the relay ended: ${log().trim().split("\n", 1)[0]}`);
      if (giveUp.aborted) throw new RunFailed("the relay does not listen");
      await timers.setTimeout(pollMs);
    }
  }
}
