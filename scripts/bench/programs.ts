/** The programs that a comparison needs, and what of this machine its figures depend on. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, homedir, release } from "node:os";
import path from "node:path";
import process from "node:process";
import { askVersion, findProgram } from "../conformance/programs.ts";
import { allowFiles, chooseCpus, type Cpus } from "./cpus.ts";
import { RunFailed } from "./derpbench.ts";
import type { ServerKind } from "./figures.ts";
import { runProgram } from "./processes.ts";
import { slowPortArguments, startSlowLink } from "./slow-link.ts";
import type { Machine, Versions } from "./record.ts";

const root = path.join(import.meta.dirname, "../..");
const cache = path.join(homedir(), ".cache/derpkit");

/** How to get what is missing. */
export const howToGet = {
  derper:
    "there is no derper: build it with `BIN=~/.cache/derpkit/tailnet ../shared/tailnet/build.sh`, or name its folder in DERPKIT_TAILNET_CHECK",
  bun: "there is no Bun: `npm install --no-save --prefix ~/.cache/derpkit/bun @oven/bun-linux-x64@1.4.5`, or name its binary in DERPKIT_BUN",
  derpbench:
    "there is no derpbench: its Go source belongs in ../shared/bench/derpbench or in the folder that DERPKIT_DERPBENCH names, and Go in PATH",
} as const;

/** The program that runs a relay of a kind; undefined if this machine has none. */
export function findServerProgram(kind: ServerKind): string | undefined {
  if (kind === "node") return process.execPath;
  return findProgram(kind) ?? (kind === "bun" ? findCachedBun() : undefined);
}

function findCachedBun(): string | undefined {
  const name = `bun-linux-${arch() === "arm64" ? "aarch64" : "x64"}`;
  const file = path.join(cache, "bun/node_modules/@oven", name, "bin/bun");
  return existsSync(file) ? file : undefined;
}

/** Asks each program for its version. */
export async function askVersions(programs: ReadonlyMap<ServerKind, string>): Promise<Versions> {
  const entries = [...programs].map(async ([kind, program]) => {
    if (kind === "node") return [kind, process.versions.node] as const;
    return [kind, await askVersion(program, kind === "derper" ? "-version" : "--version")] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Builds derpbench where its source and Go are; otherwise takes what was built earlier.
 *
 * @returns its path; undefined if it cannot be had
 * @throws RunFailed if it does not build
 */
export async function buildDerpbench(signal: AbortSignal): Promise<string | undefined> {
  const source = path.resolve(
    process.env["DERPKIT_DERPBENCH"] ?? path.join(root, "../shared/bench/derpbench"),
  );
  const built = path.join(cache, "bench/derpbench");
  if (!existsSync(path.join(source, "go.mod")) || !(await hasGo(signal))) {
    return existsSync(built) ? built : undefined;
  }
  await mkdir(path.dirname(built), { recursive: true });
  await runProgram(["go", "build", "-trimpath", "-o", built, "."], signal, { cwd: source });
  return built;
}

async function hasGo(signal: AbortSignal): Promise<boolean> {
  return await succeeds(["go", "version"], signal);
}

/** The CPUs for relay and generator; undefined if there are not two, or no `taskset` to give them out. */
export async function findCpus(signal: AbortSignal): Promise<Cpus | undefined> {
  const status = await readFile("/proc/self/status", "utf8");
  const [, allowed = ""] = /^Cpus_allowed_list:\s+(\S+)$/m.exec(status) ?? [];
  return (await succeeds(["taskset", "--version"], signal)) ? chooseCpus(allowed) : undefined;
}

/** True if a program may be started that opens so many files. */
export async function mayOpen(files: number, signal: AbortSignal): Promise<boolean> {
  return await succeeds(allowFiles(files, ["true"]), signal);
}

/** True if a network with a slow link can be made. */
export async function maySlowDown(signal: AbortSignal): Promise<boolean> {
  try {
    await using link = await startSlowLink(1_000_000, signal);
    return await succeeds(link.enter(["tc", ...slowPortArguments(1)]), signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RunFailed) return false;
    throw error;
  }
}

export function describeMachine(pinned: Cpus | undefined): Machine {
  const [model = "unknown"] = cpus().map((cpu) => cpu.model.trim());
  return { cpu: model, cores: availableParallelism(), kernel: release(), pinned };
}

async function succeeds(command: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    await runProgram(command, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RunFailed || (error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
