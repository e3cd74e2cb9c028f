/** Servers on this machine that behave as a test wants. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestServer {
  readonly url: URL;
  /** What was asked so far. */
  readonly received: Received[];
  readonly server: Server;
  /** What answers from now on. */
  answer: Answer;
}

export type Answer = (response: ServerResponse, request: Received) => void;

/** Answers with a status and a body. */
export function reply(
  status: number,
  body: string | Buffer = "",
  headers: Record<string, string> = {},
): Answer {
  return (response) => response.writeHead(status, headers).end(body);
}

/** Answers with a redirect. */
export function redirectTo(location: string, status = 307): Answer {
  return reply(status, "", { Location: location });
}

/** Closes the connection in the place of an answer. */
export const hangUp: Answer = (response) => response.socket?.destroy();

/** Answers with something that is not HTTP. */
export const garbage: Answer = (response) => response.socket?.end("\0\0 this is not HTTP \r\n\r\n");

/** Never answers. */
export const silence: Answer = () => {};

/** @param socketPath listens there; on a port of 127.0.0.1 if it is left out */
export async function startServer(t: TestContext, answer: Answer, socketPath?: string): Promise<TestServer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {}); // The client has left.
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const received = { method, url, headers, body: String(Buffer.concat(chunks)) };
      started.received.push(received);
      started.answer(response, received);
      server.emit("answered");
    });
  });
  t.after(() => stopServer(server));
  server.listen(socketPath === undefined ? { port: 0, host: "127.0.0.1" } : { path: socketPath });
  await once(server, "listening");
  const port = socketPath === undefined ? (server.address() as AddressInfo).port : 0;
  const started: TestServer = { url: new URL(`http://127.0.0.1:${port}/`), received: [], server, answer };
  return started;
}

export function stopServer(server: Server): void {
  server.close();
  server.closeAllConnections();
}

/** A signal that is never aborted. */
export const forever = new AbortController().signal;
