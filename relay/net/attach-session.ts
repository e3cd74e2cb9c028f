/** Joins a session to a socket: the only place where DERP meets a client's stream. */
import type { Duplex } from "node:stream";
import type { Session } from "../core/session.ts";
import type { Transport } from "../core/session-context.ts";
import { readSocket } from "./socket-reader.ts";
import { StreamTransport } from "./stream-transport.ts";

/** Opens the session that a transport belongs to. */
export type OpenSession = (transport: Transport) => Session;

/**
 * Runs DERP over an upgraded socket.
 *
 * @param head bytes that came together with the HTTP request: they belong to DERP (fast start)
 * @param now the relay's clock
 */
export function attachSession(
  socket: Duplex,
  head: Buffer,
  openSession: OpenSession,
  now: () => number,
): void {
  const transport = new StreamTransport(socket);
  const session = openSession(transport);
  transport.onDrained = () => session.handleDrained(now());
  const end = (): void => session.close("end");
  for (const event of ["end", "close", "error"]) socket.on(event, end);
  const reader = readSocket(socket, (piece) => session.receive(piece, now()));
  transport.reading = reader;
  reader.take(head);
}
