/** What metrics say of the process and its machine. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import type { ProcessFacts } from "./telemetry/sources.ts";
import { statField } from "./process-stat.ts";

/** Reads the facts as they are now. What only Linux tells is undefined elsewhere. */
export function readProcessFacts(version: string): ProcessFacts {
  const { user, system } = process.cpuUsage();
  const limits = readProc("self/limits");
  return {
    version,
    uptimeSeconds: performance.now() / 1_000,
    startTimeSeconds: performance.timeOrigin / 1_000,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    bootTimeSeconds: bootTime(),
    openFiles: countOpenFiles(),
    maxOpenFiles: parseLimit(limits, "open files"),
    virtualBytes: parseVirtualBytes(readProc("self/stat")),
    maxVirtualBytes: parseLimit(limits, "address space"),
  };
}

/** Bytes that the process may use: what its control group allows, or all that the machine has. */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory(); // 0 or absurdly much where nobody has set a limit.
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/**
 * Connections that the process can hold: a file each, of those it may open, and memory, of which they get half.
 *
 * @param bytesEach memory that a connection takes, about
 */
export function maxConnections(bytesEach: number): number {
  const files = parseLimit(readProc("self/limits"), "open files") ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor(Math.min(files - reservedFiles, memoryLimit() / 2 / bytesEach)));
}

/** The line `btime` of /proc/stat: seconds since 1970. */
export function parseBootTime(stat: string | undefined): number | undefined {
  return toNumber(/^btime (\d+)$/m.exec(stat ?? "")?.[1]);
}

/** A soft limit in /proc/self/limits. `unlimited` is the largest number of 64 bits, as Prometheus's own client has it. */
export function parseLimit(limits: string | undefined, name: string): number | undefined {
  const soft = new RegExp(String.raw`^Max ${name} +(\d+|unlimited) `, "m").exec(limits ?? "")?.[1];
  return soft === "unlimited" ? 2 ** 64 - 1 : toNumber(soft);
}

/** `vsize` of /proc/self/stat. */
export function parseVirtualBytes(stat: string | undefined): number | undefined {
  return toNumber(statField(stat ?? "", 23));
}

/** For listeners, links to other relays, queries, and files that are read again. */
const reservedFiles = 128;

/** The machine's boot is read once: the file has a line for each processor and interrupt. */
let boot: { readonly time: number | undefined } | undefined;

function bootTime(): number | undefined {
  boot ??= { time: parseBootTime(readProc("stat")) };
  return boot.time;
}

/** Since Linux 6.2 the folder's size is their number; before, it is 0, and they have to be listed: one more for that. */
function countOpenFiles(): number | undefined {
  try {
    return statSync("/proc/self/fd").size || readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

function readProc(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

function toNumber(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
