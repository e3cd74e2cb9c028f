/**
 * A network of its own, for clients that come from elsewhere: its one cable leads to this machine, and can be cut without
 * a word to anybody. It is a network namespace of Linux and needs root; it is gone with the process that holds it.
 */
import { execFile, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { ownFiles } from "./suite.ts";

/** Two ends of the cable: this machine's address, and that of the network. */
export interface Route {
  readonly here: string;
  readonly there: string;
}

export interface OwnNetwork {
  /** Addresses of strangers (RFC 2544's range for such uses). */
  readonly stranger: Route;
  /** Addresses of a tailnet's range. */
  readonly tailnet: Route;
  /** Connects from there to a port of this machine. */
  dial(route: Route, port: number): Promise<Socket>;
  /** From now on nothing comes from there, not even that something has arrived. */
  cut(): Promise<void>;
}

/** Why there can be no such network on this machine; undefined if there can. */
export function whyNoNetwork(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it takes root on Linux";
  const [unshared, hasIp] = [spawnSync("unshare", ["--net", "true"]), spawnSync("ip", ["-V"])];
  return unshared.status === 0 && hasIp.status === 0 ? undefined : "no network of its own can be made here";
}

const run = promisify(execFile);

/** Makes the network. It ends with the test. */
export async function startOwnNetwork(t: TestContext): Promise<OwnNetwork> {
  const { folder } = await ownFiles(t);
  const door = path.join(folder, "door.sock");
  const inside = path.join(import.meta.dirname, "own-network-inside.ts");
  const holder = spawn("unshare", ["--net", process.execPath, inside, door], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [nearEnd, farEnd] = [`dk${holder.pid}a`, `dk${holder.pid}b`];
  t.after(async () => {
    holder.kill("SIGKILL");
    // Sockets that wait for an answer would keep the network, and with it this end, for a while.
    await run("ip", ["link", "delete", nearEnd]).catch(() => {});
  });
  await once(holder.stdout, "data");
  const within = (...args: readonly string[]): Promise<unknown> =>
    run("nsenter", ["--target", `${holder.pid}`, "--net", "ip", ...args]);
  // Several tests make one at the same time, so each has a piece of the ranges.
  const [third, fourth] = [randomInt(256), 4 * randomInt(64)];
  const routeIn = (net: string): Route => ({
    here: `${net}.${third}.${fourth + 1}`,
    there: `${net}.${third}.${fourth + 2}`,
  });
  const [stranger, tailnet] = [routeIn("198.18"), routeIn("100.127")];
  await run("ip", ["link", "add", nearEnd, "type", "veth", "peer", "name", farEnd, "netns", `${holder.pid}`]);
  for (const { here, there } of [stranger, tailnet]) {
    await run("ip", ["address", "add", `${here}/30`, "dev", nearEnd]);
    await within("address", "add", `${there}/30`, "dev", farEnd);
  }
  await run("ip", ["link", "set", nearEnd, "up"]);
  await within("link", "set", farEnd, "up");
  return {
    stranger,
    tailnet,
    dial: (route, port) => dial(t, door, route, port),
    cut: async () => {
      for (const { here } of [stranger, tailnet]) await within("route", "add", "blackhole", `${here}/32`);
    },
  };
}

/** Asks at the door for a connection; what is said afterwards passes through. */
async function dial(t: TestContext, door: string, { here, there }: Route, port: number): Promise<Socket> {
  const socket = connect(door);
  t.after(() => socket.destroy());
  socket.write(JSON.stringify({ host: here, port, localAddress: there }));
  await once(socket, "data", { signal: AbortSignal.timeout(5_000) });
  socket.pause();
  return socket;
}
