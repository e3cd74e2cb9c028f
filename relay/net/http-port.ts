/** The plain HTTP listener beside HTTPS. DERP is not served here; the debug pages are, under the same rule. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ListenAddress } from "../config/listen-address.ts";
import { debugAnswer, type DebugContext } from "./debug-pages.ts";
import { answerPlainPort } from "./http-answers.ts";
import { debugRequest, listenOn, plainRequest, respond } from "./http-messages.ts";

export interface HttpPort extends AsyncDisposable {
  readonly address: AddressInfo;
}

/** For a request's head, and for a whole request. In milliseconds; derper: 30 s. */
const headMs = 15_000;
const requestMs = 30_000;

/**
 * Starts to listen.
 *
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function startHttpPort(listen: ListenAddress, debug: DebugContext): Promise<HttpPort> {
  const server = createServer({
    headersTimeout: headMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: 2_000,
    // No upgrade has a meaning here: such a request is answered as if it had not asked.
    shouldUpgradeCallback: () => false,
  });
  server.on("request", (request, response) => {
    const plain = () => answerPlainPort(plainRequest(request, debug.access), request.headers.host ?? "");
    respond(request, response, debugAnswer(debugRequest(request), debug) ?? plain());
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  await listenOn(server, listen, "Plain HTTP");
  return {
    address: server.address() as AddressInfo,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
