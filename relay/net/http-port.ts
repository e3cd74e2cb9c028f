/** The plain HTTP listener beside HTTPS. DERP is not served here; the debug pages are, under the same rule. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type ConnectionCaps, takePlace } from "./connection-caps.ts";
import { createHttpServer } from "./http-server.ts";
import { listenOn, type ListenPlace } from "./listen.ts";
import { answerBeside, type RouteContext } from "./routes.ts";

export interface HttpPort extends AsyncDisposable {
  readonly address: AddressInfo;
}

/**
 * Starts to listen.
 *
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function startHttpPort(
  listen: ListenPlace,
  context: RouteContext,
  caps: ConnectionCaps,
): Promise<HttpPort> {
  const sockets = new Set<Socket>();
  const serveHttp = createHttpServer({
    answer: (request, message) => answerBeside(request, message, context),
  });
  const server = createServer({ noDelay: true }, (socket) => {
    if (takePlace(socket, caps) === undefined) return;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serveHttp(socket);
  });
  const address = await listenOn(server, listen, "Plain HTTP");
  return {
    address,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
