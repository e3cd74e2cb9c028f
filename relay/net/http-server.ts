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
import { recogniseDerpRequest } from "./derp-request.ts";
import { dismiss, headOf, respond } from "./http-messages.ts";
import { parseRequest, refuse, type Request, type RequestHead } from "./http-request.ts";

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
  upgrade?(request: Request, socket: Duplex): TakeOver | undefined;
  /** What takes over the connection of a CONNECT; undefined for one that is answered. */
  connect?(message: IncomingMessage): TakeOver | undefined;
}

/**
 * @param head bytes that came behind the request
 * @param message undefined for the request that is recognised without an HTTP server: `Upgrade: DERP` and nothing else
 */
export type TakeOver = (socket: Duplex, head: Buffer, message?: IncomingMessage) => void;

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
  const upgrades = new WeakMap<IncomingMessage, TakeOver>();
  /** What takes over the connection of a request, if anything does. */
  const findTakeOver = (head: RequestHead, socket: Duplex): TakeOver | undefined => {
    const request = parseRequest(head);
    return "status" in request ? undefined : service.upgrade?.(request, socket);
  };
  const server = createServer({
    requireHostHeader: false, // `parseRequest` decides this, and says why.
    keepAliveTimeout: 0,
    shouldUpgradeCallback: (message: IncomingMessage) => {
      const takeOver = findTakeOver(headOf(message), message.socket);
      if (takeOver !== undefined) upgrades.set(message, takeOver);
      return takeOver !== undefined;
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
  /** Takes over a connection that begins with DERP's own request. @returns false if it does not */
  const takeDerp = (socket: Duplex, chunk: Buffer): boolean => {
    const derp = recogniseDerpRequest(chunk);
    const takeOver = derp && findTakeOver(derp.head, socket);
    if (derp === undefined || takeOver === undefined) return false;
    forget(socket);
    takeOver(socket, chunk.subarray(derp.length));
    return true;
  };
  const handleRequest = (message: IncomingMessage, response: ServerResponse): void => {
    expectRequest(message.socket, { message, response });
    const request = parseRequest(headOf(message));
    respond(message, response, "status" in request ? request : service.answer(request, message, response));
  };
  server.on("request", handleRequest);
  // derper reads no body, and so never asks for one that waits.
  server.on("checkContinue", handleRequest);
  server.on("checkExpectation", handleRequest);
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    forget(socket);
    upgrades.get(message)?.(socket, head, message);
  });
  server.on("connect", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    forget(socket);
    const request = parseRequest(headOf(message));
    if ("status" in request) {
      dismiss(socket, request);
      return;
    }
    const takeOver = service.connect?.(message);
    if (takeOver === undefined) dismiss(socket, service.answer(request, message, socket));
    else takeOver(socket, head);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuseBytes(socket, error.code ?? "", connections.get(socket)?.last);
  });
  return (socket) => {
    expectRequest(socket);
    const gone = (): void => forget(socket);
    socket.on("close", gone);
    if (service.upgrade === undefined) {
      server.emit("connection", socket);
      return;
    }
    socket.on("error", ignoreError);
    socket.once("data", (chunk: Buffer) => {
      socket.off("error", ignoreError);
      if (takeDerp(socket, chunk)) {
        socket.off("close", gone);
        return;
      }
      socket.pause();
      socket.unshift(chunk);
      server.emit("connection", socket);
      socket.resume();
    });
  };
}

/** A close follows. */
function ignoreError(): void {}

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
