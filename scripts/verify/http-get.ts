/** A page of a relay, as its node's certificate vouches for it. */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { isIPv6 } from "node:net";
import * as v from "valibot";
import { describeError } from "../../relay/client/dial.ts";
import { orGiveUp, RelayFailure } from "../../relay/client/failure.ts";
import { openTransport } from "../../relay/client/transport.ts";
import type { Route } from "./probe-client.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** No page of a relay that is looked at is longer. In bytes. */
const maxBody = 65_536;

/** Asks for a page over a connection of its own. @throws RelayFailure */
export async function get(
  route: Route,
  path: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answer> {
  return await ask(route, { method: "GET", path, headers }, signal);
}

export interface Question {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The same for any question without a body. @throws RelayFailure */
export async function ask(
  route: Route,
  { method, path, headers }: Question,
  signal: AbortSignal,
): Promise<Answer> {
  await using transport = await openTransport({ ...route, signal });
  const { hostName } = route.identity;
  const host = isIPv6(hostName) ? `[${hostName}]` : hostName;
  const asked = request({
    createConnection: () => transport.stream,
    method,
    path,
    headers: { Host: host, Connection: "close", ...headers },
  });
  return await orGiveUp(readAnswer(asked), signal, () => `the answer to ${method} ${path}`);
}

/** @throws RelayFailure if there is none, or only a part of it, or more than a relay has to say */
async function readAnswer(asked: ClientRequest): Promise<Answer> {
  try {
    const responded = once(asked, "response");
    asked.on("error", () => {}).end();
    const [response] = (await responded) as [IncomingMessage];
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBody) throw new RelayFailure(`the HTTP answer is longer than ${maxBody} bytes`);
    }
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  } catch (error) {
    if (error instanceof RelayFailure) throw error;
    throw new RelayFailure(`no whole HTTP answer: ${describeError(error)}`, { cause: error });
  }
}

/** Reads a JSON page; undefined if it is something else. */
export function parsePage<Schema extends v.GenericSchema>(
  schema: Schema,
  body: Buffer,
): v.InferOutput<Schema> | undefined {
  try {
    const { success, output } = v.safeParse(schema, JSON.parse(body.toString("utf8")));
    return success ? output : undefined;
  } catch {
    return undefined;
  }
}
