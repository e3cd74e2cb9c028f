/** Between Node's HTTP messages and the plain requests and answers that are decided on. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { ListenAddress } from "../config/listen-address.ts";
import { KitError } from "../errors.ts";
import type { DebugAccess, DebugRequest } from "./debug-access.ts";
import type { PlainAnswer, PlainRequest } from "./http-answers.ts";

/** What of a request matters. */
export function plainRequest(message: IncomingMessage, access: DebugAccess): PlainRequest {
  const { method = "GET", url = "/", headers, socket } = message;
  const challenge = headers["x-tailscale-challenge"];
  return {
    method,
    target: url,
    challenge: Array.isArray(challenge) ? challenge[0] : challenge,
    remoteAddress: socket.remoteAddress,
    mayDebug: access(debugRequest(message)),
  };
}

/** What of a request the debug pages look at. */
export function debugRequest({ method = "GET", url = "/", headers, socket }: IncomingMessage): DebugRequest {
  const { remoteAddress, localAddress } = socket;
  return { method, target: url, headers, remoteAddress, localAddress };
}

/** Sends an answer, when it is there. A body that the client still sends is read past. */
export function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: PlainAnswer | Promise<PlainAnswer>,
): void {
  if (answer instanceof Promise) {
    void answer.then((found) => respond(request, response, found));
    return;
  }
  const { status, headers, body } = answer;
  const length = status === 204 ? {} : { "Content-Length": Buffer.byteLength(body) };
  response.writeHead(status, { ...headers, ...length });
  response.end(body);
  request.resume();
}

/**
 * Has a server listen.
 *
 * @param who the subject of the sentence that says why it cannot
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function listenOn(server: Server, { host, port }: ListenAddress, who: string): Promise<void> {
  const listening = once(server, "listening");
  server.listen({ port, ...(host === undefined ? {} : { host }) });
  try {
    await listening;
  } catch (cause) {
    const inUse = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new KitError(inUse ? "port-in-use" : "listen-failed", {
      message: `${who} cannot listen on TCP port ${port}.`,
      where: host ?? "every address",
      cause,
    });
  }
}
