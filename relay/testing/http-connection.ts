/** A service of ours on a real connection, and a client that sends bytes as they are. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { createHttpServer, type HttpService } from "../net/http-server.ts";

/** The two ends of a connection, which end with the test. */
export interface HttpConnection {
  readonly client: Socket;
  readonly served: Socket;
}

/** Opens a connection to a service. */
export async function openHttp(t: TestContext, service: HttpService): Promise<HttpConnection> {
  const listener = createServer().listen(0, "127.0.0.1");
  t.after(() => listener.close());
  await once(listener, "listening");
  const accepted = once(listener, "connection") as Promise<[Socket]>;
  const client = connect({ host: "127.0.0.1", port: (listener.address() as AddressInfo).port });
  const [served] = await accepted;
  t.after(() => [client, served].forEach((socket) => socket.destroy()));
  createHttpServer(service)(served);
  return { client, served };
}

/** Sends bytes, and nothing more; reads until the service ends the connection. @returns what it said, without dates */
export async function exchangeHttp(t: TestContext, service: HttpService, bytes: string): Promise<string> {
  const { client } = await openHttp(t, service);
  client.write(bytes, "latin1");
  return (await text(client)).replaceAll(/Date: .*\r\n/g, "");
}

/** A request without a body. */
export function getRequest(target: string, ...headers: string[]): string {
  return [`GET ${target} HTTP/1.1`, "Host: a", ...headers, "", ""].join("\r\n");
}
