/** Ports for what the suites start. */
import process from "node:process";
import { chooseFreePort } from "../infra/clouds/free-port.ts";

const taken = new Set<number>();
/** Test files run side by side, each in a process: far enough apart that no two look at the same port at the same time. */
let next = process.pid * 1_009;

/** A port that was free a moment ago, and that nobody else in the suites is about to take. */
export async function freePort(protocol: "tcp" | "udp"): Promise<number> {
  const port = await chooseFreePort(protocol, taken, (below) => next++ % below);
  taken.add(port);
  return port;
}
