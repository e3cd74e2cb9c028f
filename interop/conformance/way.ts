/** A way to a port of this machine that can be cut. Whoever takes it waits until somebody listens at the end. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { openTcp } from "./http.ts";

export interface Way {
  /** Where it begins. */
  readonly port: number;
  /** Ends all connections that lead over it; new ones are possible. */
  cut(): void;
}

const pollMs = 20;

/** Opens a way that is closed with the test. */
export async function openWay(t: TestContext, target: number): Promise<Way> {
  const sockets = new Set<Socket>();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const follow = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => other.destroy());
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    near.on("error", () => {});
    const carry = async (): Promise<void> => {
      const far = await openWhenListening(target, near);
      follow(near, far);
      follow(far, near);
      near.pipe(far).pipe(near);
    };
    carry().catch(() => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    cut();
  });
  return { port: (server.address() as AddressInfo).port, cut };
}

/** @throws Error if whoever wants it gives up first */
async function openWhenListening(port: number, wanting: Socket): Promise<Socket> {
  for (;;) {
    try {
      return await openTcp(port);
    } catch (error) {
      if (wanting.destroyed) throw error;
      await timers.setTimeout(pollMs);
    }
  }
}
