/** Joins a session to a socket: the only place where DERP meets a stream. */
import type { Duplex } from "node:stream";
import type { CloseReason, Session, Transport } from "../core/session.ts";

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
  const transport = new SocketTransport(socket);
  const session = openSession(transport);
  transport.onDrained = () => session.handleDrained(now());
  socket.on("data", (chunk: Buffer) => session.receive(chunk, now()));
  socket.on("end", () => session.close("end"));
  socket.on("close", () => session.close("end"));
  socket.on("error", () => session.close("end")); // The peer's network failed; `close` follows.
  if (head.length > 0) session.receive(head, now());
}

class SocketTransport implements Transport {
  readonly #socket: Duplex;
  onDrained: () => void = () => {};
  readonly #written: () => void;
  #waiting = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // One function for all writes of a connection: nothing is allocated per write.
    this.#written = () => {
      if (!this.#waiting || this.#socket.writableLength > 0) return;
      this.#waiting = false;
      this.onDrained();
    };
  }

  /** Node has taken the bytes whole, and copied them, exactly when nothing stays queued in the stream. */
  write(bytes: Buffer): boolean {
    if (this.#socket.destroyed) return true;
    this.#socket.write(bytes, this.#written);
    this.#waiting = this.#socket.writableLength > 0;
    return !this.#waiting;
  }

  close(_reason: CloseReason): void {
    this.#socket.destroy();
  }
}
