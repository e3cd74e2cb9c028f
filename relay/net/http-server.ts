/**
 * HTTP on connections that somebody else has accepted: TLS or not, the same on each of the runtimes.
 *
 * The connections are handed to Node's HTTP server one by one, and it listens nowhere itself. On Bun this is what brings
 * Node's parser and Node's events; a server that listens is another program there.
 */
import type { EventEmitter } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { PendingAnswer } from "./http-answers.ts";
import { dismiss, headOf, respond } from "./http-messages.ts";
import { parseRequest, refuse, type Request } from "./http-request.ts";

/** What is served. */
export interface HttpService {
  /**
   * Answers a request.
   *
   * @param done emits `close` when the answer has left, or the client
   */
  answer(request: Request, message: IncomingMessage, done: EventEmitter): PendingAnswer;
  /**
   * What takes over the connection of a request that becomes an upgrade; undefined for one that is answered as if it had
   * not asked, as all are without this.
   */
  upgrade?(request: Request, message: IncomingMessage): TakeOver | undefined;
  /** What takes over the connection of a CONNECT; undefined for one that is answered. */
  connect?(message: IncomingMessage): TakeOver | undefined;
}

/** @param head bytes that came behind the request */
export type TakeOver = (socket: Duplex, head: Buffer) => void;

/** From one request to the next one's whole head, or from the beginning, in milliseconds. derper: 30 s. */
const headMs = 15_000;

/** What was asked last on a connection, and how far its answer is. */
interface Turn {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

/** A connection of which a request is expected. */
interface Connection {
  readonly deadline: NodeJS.Timeout;
  readonly last: Turn | undefined;
}

/** @returns serves HTTP on a connection */
export function createHttpServer(service: HttpService): (socket: Duplex) => void {
  const connections = new WeakMap<Duplex, Connection>();
  const server = createServer({
    requireHostHeader: false, // `parseRequest` decides this, and says why.
    keepAliveTimeout: 0,
    shouldUpgradeCallback: (message: IncomingMessage) => {
      const request = parseRequest(headOf(message));
      return !("status" in request) && service.upgrade?.(request, message) !== undefined;
    },
  });
  // Node would leave out those beyond 2000, a proxy's X-Forwarded-For among them.
  server.maxHeadersCount = 0;

  const forget = (socket: Duplex): void => {
    clearTimeout(connections.get(socket)?.deadline);
    connections.delete(socket);
  };
  const expectRequest = (socket: Duplex, last?: Turn): void => {
    forget(socket);
    connections.set(socket, { deadline: setTimeout(() => socket.destroy(), headMs), last });
  };
  server.on("connection", (socket: Duplex) => {
    expectRequest(socket);
    socket.once("close", () => forget(socket));
  });
  const handleRequest = (message: IncomingMessage, response: ServerResponse): void => {
    expectRequest(message.socket, { message, response });
    const request = parseRequest(headOf(message));
    respond(message, response, "status" in request ? request : service.answer(request, message, response));
  };
  server.on("request", handleRequest);
  // derper reads no body, and so never asks for one that waits.
  server.on("checkContinue", handleRequest);
  server.on("checkExpectation", handleRequest);
  const handleTaken = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    forget(socket);
    const request = parseRequest(headOf(message));
    if ("status" in request) dismiss(socket, request);
    else if (message.method === "CONNECT") {
      const takeOver = service.connect?.(message);
      if (takeOver === undefined) dismiss(socket, service.answer(request, message, socket));
      else takeOver(socket, head);
    } else service.upgrade?.(request, message)?.(socket, head);
  };
  server.on("upgrade", handleTaken);
  server.on("connect", handleTaken);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuseBytes(socket, error.code ?? "", connections.get(socket)?.last);
  });
  return (socket) => void server.emit("connection", socket);
}

/**
 * Answers bytes that are no request.
 *
 * @param code the error's: of the parser, or of the connection, which is over then
 */
function refuseBytes(socket: Duplex, code: string, last: Turn | undefined): void {
  // What is wrong in a body belongs to a request that has been answered.
  const isRequest = code.startsWith("HPE_") && last?.message.complete !== false;
  const refuseNow = (): void => {
    if (!isRequest) socket.destroy();
    else if (socket.writable) dismiss(socket, refuse(code === "HPE_HEADER_OVERFLOW" ? 431 : 400));
  };
  // Answers to earlier requests go first.
  if (last?.response.writableFinished === false) last.response.once("finish", refuseNow);
  else refuseNow();
}
