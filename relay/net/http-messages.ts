/** Between Node's HTTP messages and the plain requests and answers that are decided on. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { PendingAnswer, PlainAnswer } from "./http-answers.ts";
import { connectionHeader, goesOn, type RequestHead } from "./http-request.ts";

/** What of a message the rules of HTTP look at. */
export function headOf({ method = "GET", url = "/", rawHeaders, httpVersion }: IncomingMessage): RequestHead {
  return { method, target: url, rawHeaders, version: httpVersion };
}

/** Sends an answer, when it is there. A body that the client still sends is read past. */
export function respond(message: IncomingMessage, response: ServerResponse, answer: PendingAnswer): void {
  if (answer instanceof Promise) {
    void answer.then((found) => respond(message, response, found));
    return;
  }
  const head = headOf(message);
  const { status, reason = STATUS_CODES[status] } = answer;
  response.shouldKeepAlive = goesOn(head);
  // What Node would add of its own.
  response.sendDate = false;
  for (const name of ["connection", "transfer-encoding"]) response.removeHeader(name);
  response.writeHead(status, reason, headerLines(answer, head.method, connectionHeader(head)).flat());
  response.end(answer.body);
  message.resume();
}

/** A client whose connection ends with its answer has so long to read it and to leave. */
const dismissMs = 5_000;

/**
 * Answers on a bare socket, and is done with it. What the client still sends is read and dropped: nobody would notice the
 * end of a stream that nobody reads, and the socket would stay.
 */
export function dismiss(socket: Duplex, answer: PendingAnswer): void {
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.resume();
  void Promise.resolve(answer).then((found) => {
    socket.end(render(found));
    setTimeout(() => socket.destroy(), dismissMs).unref();
  });
}

function render(answer: PlainAnswer): string {
  const { status, reason = STATUS_CODES[status], body } = answer;
  const lines = headerLines(answer, "GET", "close").map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${reason}`, ...lines, "", body].join("\r\n");
}

/** The lines below the status line, in Go's order: the answer's own by name, then the server's. */
function headerLines(
  { status, headers, body, bare = false }: PlainAnswer,
  method: string,
  connection: string | undefined,
): [name: string, value: string][] {
  const own = Object.entries(headers);
  if (bare) return own;
  const length = status === 204 || (method === "HEAD" && body === "") ? undefined : Buffer.byteLength(body);
  const added = {
    Date: new Date().toUTCString(),
    "Content-Length": length?.toString(),
    "Content-Type": body === "" ? undefined : "text/plain; charset=utf-8",
    Connection: connection,
  };
  const lines = own.toSorted(([one], [other]) => (one < other ? -1 : 1));
  for (const [name, value] of Object.entries(added)) {
    if (value !== undefined && headers[name] === undefined) lines.push([name, value]);
  }
  return lines;
}
