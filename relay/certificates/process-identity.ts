/** Which process on which machine: to know for sure, on the same machine, that another one has ended. */
import { readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { isErrno } from "../config/files.ts";

export interface ProcessIdentity {
  /** Of this start of the machine; differs between machines, too. */
  readonly boot: string;
  /** In which numbers of processes, and start times, mean something. */
  readonly namespaces: string;
  readonly pid: number;
  /** In clock ticks since the machine's start: numbers are used again, with another time. */
  readonly started: string;
}

/** Who we are. Only Linux tells; undefined elsewhere, and where /proc is not that of our own namespace. */
export function readOwnIdentity(): ProcessIdentity | undefined {
  try {
    // A link, so that a /proc of another namespace is noticed.
    if (readlinkSync("/proc/self") !== `${process.pid}`) return undefined;
    const { started } = parseProcessStat(readFileSync("/proc/self/stat", "utf8")) ?? {};
    if (started === undefined) return undefined;
    return {
      boot: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      namespaces: [readlinkSync("/proc/self/ns/pid"), readNamespace("time")].join(" "),
      pid: process.pid,
      started,
    };
  } catch {
    return undefined;
  }
}

/**
 * True if a process is known to have ended: it was on this start of this machine, where we can see it, and is no more. False
 * in every case of doubt.
 */
export function isKnownDead(other: ProcessIdentity, own: ProcessIdentity | undefined): boolean {
  if (own === undefined || other.boot !== own.boot || other.namespaces !== own.namespaces) return false;
  if (!exists(other.pid)) return true;
  const stat = readStat(other.pid);
  // A number that was given to another process since; or one that has ended and whose parent does not care.
  return stat !== undefined && (stat.started !== other.started || stat.state === "Z" || stat.state === "X");
}

/**
 * The state (third field) and the start time (22nd) of /proc/PID/stat (proc(5)). The second field is the program's name,
 * which may hold spaces and brackets.
 */
export function parseProcessStat(
  text: string,
): { readonly state: string; readonly started: string } | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, started] = [fields[0], fields[19]];
  return state && started && /^\d+$/.test(started) ? { state, started } : undefined;
}

/** By a signal that is not sent: /proc may hide the processes of others. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, "ESRCH");
  }
}

function readStat(pid: number): ReturnType<typeof parseProcessStat> {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return undefined;
  }
}

function readNamespace(name: string): string {
  try {
    return readlinkSync(`/proc/self/ns/${name}`);
  } catch {
    return "none"; // Kernels before 5.6 have no time namespaces.
  }
}
