/**
 * ACE, which derper has as an experiment: CONNECT over TLS to Tailscale's control servers, for clients that cannot reach
 * them on their own.
 */
import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { plainError } from "./http-answers.ts";
import { dismiss } from "./http-messages.ts";
import type { TakeOver } from "./http-server.ts";

export interface ConnectTarget {
  readonly host: string;
  readonly port: number;
}

/** Connects. @throws if nobody accepts in time */
export type Dial = (target: ConnectTarget) => Promise<Duplex>;

/** derper: 15 s. */
const dialMs = 15_000;

/**
 * Reads the target of a CONNECT, `host:port`: a server of Tailscale's that is no relay, on port 80 or 443. What goes
 * through port 80 is encrypted itself.
 *
 * @returns undefined for any other
 */
export function parseConnectTarget(target: string): ConnectTarget | undefined {
  const [, host = "", port] = /^([^:[\]\s]+\.tailscale\.com):(80|443)$/.exec(target) ?? [];
  return port === undefined || host.includes("derp") ? undefined : { host, port: Number(port) };
}

/** Joins a client's connection to its target, until either side ends. What they say is theirs. */
export function tunnelTo(target: ConnectTarget, dial: Dial = dialTcp): TakeOver {
  return (client, head) => void join(client, head, target, dial);
}

async function join(client: Duplex, head: Buffer, target: ConnectTarget, dial: Dial): Promise<void> {
  client.on("error", () => {}); // `close` follows.
  let server: Duplex;
  try {
    server = await dial(target);
  } catch {
    dismiss(client, plainError(502, "Connect failure"));
    return;
  }
  server.on("error", () => {});
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    const leave = (): void => void other.end(() => other.destroy());
    one.on("end", leave).on("close", leave);
  }
  client.write("HTTP/1.1 200 OK\r\n\r\n");
  if (head.length > 0) server.write(head);
  client.pipe(server, { end: false }).pipe(client, { end: false });
  if (client.destroyed) server.destroy();
}

async function dialTcp({ host, port }: ConnectTarget): Promise<Duplex> {
  const socket = connect({ host, port, noDelay: true });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(dialMs) });
  } catch (error) {
    socket.on("error", () => {}).destroy();
    throw error;
  }
  return socket;
}
