/**
 * A network of its own in which the way to one port is slow, for relay and clients alike: a namespace of Linux, which
 * takes root, `ip` and `tc`. It is gone with the process that holds it.
 *
 * A client that merely reads slowly shows little of a relay: the kernel takes megabytes for it on loopback, on either
 * side, whatever the relay does. On a slow link it takes about what is on its way, as for clients of the real world.
 */
import { once } from "node:events";
import { RunFailed } from "./derpbench.ts";
import { startProgram } from "./processes.ts";

export interface SlowLink extends AsyncDisposable {
  /** A command that runs in the network. */
  readonly enter: (command: readonly string[]) => readonly string[];
}

const slowClass = "1:10";
/** As of Ethernet, for TCP to behave as on one. */
const mtu = 1_500;
/** What the link's queue holds, in bytes: a sixteenth of a second at 1 MiB/s. */
const queue = 65_536;

/**
 * Makes the network. Its loopback is as fast as ever, but for the ports that `slowPortArguments` names.
 *
 * @throws RunFailed if there can be no such network here; the signal's reason if that aborts first
 */
export async function startSlowLink(bytesPerSecond: number, signal: AbortSignal): Promise<SlowLink> {
  const script = [
    `ip link set lo mtu ${mtu} gso_max_segs 1 up`,
    // Whatever no filter names passes by at once.
    "tc qdisc add dev lo root handle 1: htb",
    `tc class add dev lo parent 1: classid ${slowClass} htb rate ${8 * bytesPerSecond}bit burst 16kb`,
    `tc qdisc add dev lo parent ${slowClass} bfifo limit ${queue}`,
    "echo made",
    "exec cat",
  ].join(" && ");
  const holder = startProgram(["unshare", "--net", "sh", "-c", script], { output: "pipe" });
  const { process: child, log } = holder;
  const failed = Promise.withResolvers<never>();
  child.once("error", failed.reject);
  child.once("close", () =>
    failed.reject(new RunFailed(log().trim() || "no network of its own can be made")),
  );
  try {
    if (child.stdout !== null) await Promise.race([once(child.stdout, "data", { signal }), failed.promise]);
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw error instanceof RunFailed ? error : new RunFailed(String(error));
  }
  failed.promise.catch(() => {}); // It is asked to end.
  return {
    enter: (command) => ["nsenter", "--target", `${child.pid}`, "--net", ...command],
    [Symbol.asyncDispose]: () => holder[Symbol.asyncDispose](),
  };
}

/** Arguments of `tc`: from now on whatever goes to a TCP port in this network goes slowly. */
export function slowPortArguments(port: number): string[] {
  const match = ["u32", "match", "ip", "dport", `${port}`, "0xffff"];
  return ["filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip", ...match, "flowid", slowClass];
}
