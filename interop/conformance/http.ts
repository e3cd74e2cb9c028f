/** HTTP as it is on the wire: a client that neither corrects what it sends nor tidies what it receives. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { orGiveUp } from "../../relay/client/failure.ts";
import { Ended, Incoming, patienceMs } from "./incoming.ts";
import type { RelayUnderTest } from "./relay-under-test.ts";

export interface Answer {
  readonly statusLine: string;
  /** In the order sent, with the names as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** What a connection brought for a request. */
export interface Exchange {
  /** More than one if the relay sends an interim answer, or if the request holds several. */
  readonly answers: readonly Answer[];
  /** Whether the relay serves another request on the connection. */
  readonly afterwards: "open" | "closed";
}

type Place = Pick<RelayUnderTest, "derpPort" | "hostName">;

/** Connects by TLS. Who answers is not checked: the statements on TLS do that. @throws Error of TLS */
export async function openTls(
  { derpPort, hostName }: Place,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: derpPort,
    servername: hostName,
    rejectUnauthorized: false,
    ...options,
  });
  // A relay that ends takes its connections along, at any moment: whoever reads notices by the close.
  socket.on("error", () => {});
  await orGiveUp(once(socket, "secureConnect"), AbortSignal.timeout(patienceMs), () => "the TLS handshake");
  socket.setNoDelay(true);
  return socket;
}

export async function openTcp(port: number): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** Sends one request over TLS and reads its answer. */
export async function ask(relay: Place, request: string): Promise<Answer> {
  const socket = await openTls(relay);
  try {
    socket.write(request, "latin1");
    return await readAnswer(new Incoming(socket), methodOf(request));
  } finally {
    socket.destroy();
  }
}

/** A request without a body, as clients send it. */
export function get(target: string, headers: readonly string[] = [], method = "GET"): string {
  return [`${method} ${target} HTTP/1.1`, "Host: relay.example", ...headers, "", ""].join("\r\n");
}

/** Sends bytes over TLS and reads so many answers; then asks for one more to see whether the connection goes on. */
export async function exchange(relay: Place, request: string, count = 1): Promise<Exchange> {
  const socket = await openTls(relay);
  const incoming = new Incoming(socket);
  const answers: Answer[] = [];
  try {
    socket.write(request, "latin1");
    while (answers.length < count) {
      const answer = await readAnswer(incoming, methodOf(request));
      answers.push(answer);
      if (answer.statusLine.startsWith("HTTP/1.1 1")) count++;
    }
    socket.write(get("/generate_204"), "latin1");
    await readAnswer(incoming, "GET");
    return { answers, afterwards: "open" };
  } catch (error) {
    if (error instanceof Ended) return { answers, afterwards: "closed" };
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Reads one answer. @throws Ended if the connection ends before it is whole */
export async function readAnswer(incoming: Incoming, method: string): Promise<Answer> {
  const head = (await incoming.takeThrough("\r\n\r\n")).toString("latin1").slice(0, -4);
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = lines.map(parseHeader);
  return { statusLine, headers, body: await readBody(incoming, method, statusLine, headers) };
}

/** The value of a header; the names of a tidy server differ in case only. */
export function headerOf({ headers }: Answer, name: string): string | undefined {
  return headers.find(([own]) => own.toLowerCase() === name.toLowerCase())?.[1];
}

async function readBody(
  incoming: Incoming,
  method: string,
  statusLine: string,
  headers: Answer["headers"],
): Promise<string> {
  const status = Number(statusLine.split(" ")[1]);
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return "";
  const value = (name: string): string | undefined =>
    headers.find(([own]) => own.toLowerCase() === name)?.[1];
  const length = value("content-length");
  if (length !== undefined) return (await incoming.take(Number(length))).toString("latin1");
  if (value("transfer-encoding") === "chunked") return await readChunks(incoming);
  return (await incoming.takeRest()).toString("latin1");
}

async function readChunks(incoming: Incoming): Promise<string> {
  let body = "";
  for (;;) {
    const size = Number.parseInt((await incoming.takeThrough("\r\n")).toString("latin1"), 16);
    body += (await incoming.take(size)).toString("latin1");
    await incoming.takeThrough("\r\n");
    if (size === 0) return body;
  }
}

function parseHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

function methodOf(request: string): string {
  return request.split(" ", 1)[0] ?? "";
}
