/**
 * DERP in a WebSocket, for browsers: the same byte stream, in binary messages whose boundaries mean nothing.
 *
 * The WebSocket itself is the library `ws`: handshake, masking, fragments, pings and closing are all its.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import type { Session } from "../core/session.ts";
import type { CloseReason, Transport } from "../core/session-context.ts";
import type { OpenSession } from "./attach-session.ts";
import { subprotocol } from "./upgrade.ts";

/** derper and the browser's client read no longer message, so none is sent either. In bytes. */
const maxMessage = 32_768;

/** RFC 6455, 7.4.1 */
const CloseCode = { normal: 1_000, unsupportedData: 1_003, policyViolation: 1_008 } as const;

/** Any Origin may connect, as with derper: who a client is, its key tells. Compression is off, which Safari gets wrong. */
const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: maxMessage,
  handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
});

/**
 * Completes the handshake and runs DERP in the WebSocket. A request that breaks RFC 6455 gets its HTTP error.
 *
 * @param now the relay's clock
 */
export function attachWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  openSession: OpenSession,
  now: () => number,
): void {
  server.handleUpgrade(request, socket, head, (webSocket) => {
    if (webSocket.protocol !== subprotocol) {
      webSocket.on("error", () => {});
      webSocket.close(CloseCode.policyViolation, 'subprotocol "derp" is required');
      return;
    }
    const transport = new WebSocketTransport(webSocket, socket);
    const session = openSession(transport);
    transport.onDrained = () => session.handleDrained(now());
    webSocket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) session.receive(data, now());
      else transport.refuse(session);
    });
    webSocket.on("close", () => session.close("end"));
    webSocket.on("error", () => session.close("end")); // `ws` has told the client why; `close` follows.
  });
}

class WebSocketTransport implements Transport {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  onDrained: () => void = () => {};
  readonly #written: () => void;
  #waiting = false;

  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#written = () => {
      if (!this.#waiting || this.#socket.writableLength > 0) return;
      this.#waiting = false;
      this.onDrained();
    };
  }

  write(bytes: Buffer): boolean {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return true;
    for (let at = 0; at < bytes.length; at += maxMessage) {
      this.#webSocket.send(bytes.subarray(at, at + maxMessage), { binary: true }, this.#written);
    }
    this.#waiting = this.#socket.writableLength > 0;
    return !this.#waiting;
  }

  pauseReading(ms: number): void {
    this.#webSocket.pause();
    if (Number.isFinite(ms)) setTimeout(() => this.#webSocket.resume(), ms);
  }

  resumeReading(): void {
    this.#webSocket.resume();
  }

  /** A text message has no meaning in DERP. */
  refuse(session: Session): void {
    this.#webSocket.close(CloseCode.unsupportedData, "DERP is binary");
    session.close("protocol");
  }

  close(reason: CloseReason): void {
    // Who takes nothing or says nothing would not answer the closing handshake either.
    if (reason === "write-timeout" || reason === "silent") this.#webSocket.terminate();
    else this.#webSocket.close(CloseCode.normal);
  }
}
