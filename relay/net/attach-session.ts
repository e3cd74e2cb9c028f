/** Joins a session to a socket: the only place where DERP meets a client's stream. */
import type { Duplex } from "node:stream";
import type { Session } from "../core/session.ts";
import type { Transport } from "../core/session-context.ts";
import { StreamTransport } from "./stream-transport.ts";

/** Opens the session that a transport belongs to. */
export type OpenSession = (transport: Transport) => Session;

/** As much as Node reads at once, in bytes. Bun reads more, and a client that is held back would be so too late. */
const pieceLength = 65_536;

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
  const receive = (chunk: Buffer): void => {
    session.receive(chunk.length <= pieceLength ? chunk : chunk.subarray(0, pieceLength), now());
    if (chunk.length <= pieceLength) return;
    const rest = chunk.subarray(pieceLength);
    if (socket.isPaused()) socket.unshift(rest);
    else receive(rest);
  };
  socket.on("data", receive);
  socket.on("end", () => session.close("end"));
  socket.on("close", () => session.close("end"));
  socket.on("error", () => session.close("end")); // The peer's network failed; `close` follows.
  if (head.length > 0) receive(head);
}
