/** Opens TCP connections, and lets somebody listen to one below TLS. */
import { once } from "node:events";
import { connect, isIPv6, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { orGiveUp, RelayFailure } from "./failure.ts";

/** Where to connect to. */
export interface Endpoint {
  /** IP address. */
  readonly address: string;
  readonly port: number;
}

/** Is shown every byte that passes the TCP socket, in the order in which it passes. */
export type Tap = (direction: "sent" | "received", bytes: Buffer) => void;

/**
 * Connects with TCP_NODELAY, as Go does.
 *
 * @param from the local address and port; the system's choice by default
 * @throws RelayFailure if nobody accepts, or if the signal aborts first
 */
export async function dial(endpoint: Endpoint, signal: AbortSignal, from?: Endpoint): Promise<Socket> {
  const where = renderEndpoint(endpoint);
  const local = from === undefined ? {} : { localAddress: from.address, localPort: from.port };
  const socket = connect({ host: endpoint.address, port: endpoint.port, noDelay: true, ...local });
  try {
    await orGiveUp(once(socket, "connect"), signal, () => `a TCP connection to ${where}`);
  } catch (error) {
    socket.on("error", () => {}).destroy();
    if (error instanceof RelayFailure) throw error;
    throw new RelayFailure(`cannot connect to ${where}: ${describeError(error)}`, { cause: error });
  }
  return socket;
}

/** Puts a tap between a socket and whoever uses it from now on. */
export function tapSocket(socket: Socket, tap: Tap): Duplex {
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      tap("sent", chunk);
      socket.write(chunk, done);
    },
    final: (done) => socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk) => {
    tap("received", chunk);
    if (!stream.push(chunk)) socket.pause();
  });
  socket.on("end", () => stream.push(null));
  socket.on("error", (error) => stream.destroy(error));
  socket.on("close", () => stream.destroy());
  return stream;
}

/** `192.0.2.1:443` or `[2001:db8::1]:443`. */
export function renderEndpoint({ address, port }: Endpoint): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** An error of a TCP or TLS socket in words. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const reason = "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
  return words[code] ?? reason;
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused, nothing listens there",
  ECONNRESET: "the other side reset the connection",
  EPIPE: "the other side closed the connection",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ETIMEDOUT: "no answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "the server does not speak TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "the server does not speak TLS",
};
