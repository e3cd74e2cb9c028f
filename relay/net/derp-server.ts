/** The relay's HTTPS listener: plain requests get their answer, upgrades become DERP sessions. */
import { once } from "node:events";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext, type TLSSocket } from "node:tls";
import type { CertificatePair } from "../config/certificate-files.ts";
import type { ListenAddress } from "../config/listen-address.ts";
import type { RelayCore } from "../core/core.ts";
import { encodeIp, mapIp } from "../ip-address.ts";
import { attachSession, type OpenSession } from "./attach-session.ts";
import type { ConnectionCaps, Place } from "./connection-caps.ts";
import { debugAnswer, type DebugContext } from "./debug-pages.ts";
import { answer, type AnswerContext, type PlainAnswer, plainError } from "./http-answers.ts";
import { debugRequest, listenOn, plainRequest, respond } from "./http-messages.ts";
import type { TlsCounters } from "./tls-counters.ts";
import { acceptsServerName, contextOptions, listenerOptions } from "./tls-identity.ts";
import { parseUpgrade, renderUpgradeAnswer } from "./upgrade.ts";
import { attachWebSocket } from "./websocket.ts";

export interface DerpServerOptions {
  readonly core: RelayCore;
  readonly listen: ListenAddress;
  readonly hostname: string;
  readonly certificate: CertificatePair;
  readonly answers: AnswerContext;
  /** Decides on each TCP connection whether it is taken; one that is not is closed at once. */
  readonly accepts: () => boolean;
  readonly caps: ConnectionCaps;
  readonly debug: DebugContext;
  readonly tls: TlsCounters;
  /** Idle milliseconds before TCP keepalive probes; 0 for none. */
  readonly keepaliveMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export interface DerpServer extends AsyncDisposable {
  readonly address: AddressInfo;
  /** TCP connections that are open, whatever they have come to. */
  readonly connections: number;
  /** Takes no new connection, and makes no session of one that is here. */
  stopAccepting(): void;
  /** Answers new handshakes with this certificate; connections that are there stay. */
  useCertificate(certificate: CertificatePair): void;
}

/** Absolute limits on what comes before DERP: the TLS handshake and the request's head. */
const handshakeMs = 15_000;
const headMs = 15_000;
/** A client that was refused has so long to read why and to leave. */
const dismissMs = 5_000;
const dayMs = 86_400_000;

/**
 * Starts to listen.
 *
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function startDerpServer(options: DerpServerOptions): Promise<DerpServer> {
  const { core, hostname } = options;
  let { certificate } = options;
  const context = () => contextOptions(certificate, core.publicKey, new Date());
  let secureContext = createSecureContext(context());
  const server = createServer({
    ...context(),
    ...listenerOptions(hostname, () => secureContext),
    handshakeTimeout: handshakeMs,
    headersTimeout: headMs,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 2_000,
    // Other upgrades are ignored, as derper ignores them: those requests are answered as if they had not asked.
    shouldUpgradeCallback: ({ url = "", headers }: IncomingMessage) =>
      options.answers.derp && parseUpgrade(url, headers) !== undefined,
  });
  const sockets = new Set<Duplex>();
  /** By the far end of the connection: the socket within TLS is another object than the one that was accepted. */
  const places = new Map<string, Place>();
  let closed: Promise<unknown> | undefined;
  const stopAccepting = (): Promise<unknown> => {
    if (closed === undefined) {
      closed = once(server, "close");
      server.close();
    }
    return closed;
  };
  const refresh = (): void => {
    secureContext = createSecureContext(context());
    server.setSecureContext(context());
  };
  // The meta certificate says how long it lasts; nobody minds, but nobody shall have to (repair Q6).
  const daily = setInterval(refresh, dayMs).unref();

  // On Bun this comes after the TLS handshake. What is closed here never gets further; unlike derper, which ends with the
  // first one that is too many (repair Q2).
  server.prependListener("connection", (socket: Socket) => {
    const place = options.caps.enter(socket.remoteAddress ?? "");
    if (place === undefined) options.tls.rejected++;
    if (place === undefined || !options.accepts()) {
      place?.leave();
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    sockets.add(socket);
    places.set(name, place);
    socket.on("close", () => {
      sockets.delete(socket);
      places.delete(name);
      place.leave();
    });
  });
  // `handshakeTimeout` and failed handshakes only emit this: without destroy() the socket would stay.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("secureConnection", (socket: TLSSocket) => {
    if (!acceptsServerName(hostname, socket.servername || undefined)) socket.destroy();
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("request", (request, response) => {
    options.tls.begin(request.socket, response);
    respond(request, response, answerPlain(request, options));
  });
  // HTTP CONNECT is for derper's experimental ACE, which is off there by default.
  server.on("connect", (request, socket) => {
    options.tls.begin(request.socket, socket);
    dismiss(socket, plainError(403, "CONNECT not enabled"));
  });
  server.on("upgrade", (request, socket, head) => {
    if (closed === undefined) {
      handleUpgrade(request, socket, head, options, () => places.get(nameOf(request.socket))?.settle());
    } else socket.destroy();
  });
  await listenOn(server, options.listen, "The relay");

  return {
    address: server.address() as AddressInfo,
    get connections() {
      return sockets.size;
    },
    useCertificate(next) {
      certificate = next;
      refresh();
    },
    stopAccepting() {
      void stopAccepting();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(daily);
      const stopped = stopAccepting();
      core.close("shutdown");
      for (const socket of sockets) socket.destroy();
      await stopped;
    },
  };
}

function handleUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: DerpServerOptions,
  loggedIn: () => void,
): void {
  const upgrade = parseUpgrade(request.url ?? "", request.headers);
  const { core, answers, keepaliveMs, now } = options;
  options.tls.begin(socket, socket);
  if (upgrade === undefined || !answers.derp) {
    // Where `shouldUpgradeCallback` is not known (Bun), requests for other upgrades come here as well.
    dismiss(socket, answerPlain(request, options));
    return;
  }
  const connection = socket as TLSSocket;
  connection.setNoDelay(true);
  connection.setTimeout(0);
  if (keepaliveMs > 0) connection.setKeepAlive(true, keepaliveMs);
  const { remoteAddress = "", remotePort = 0 } = connection;
  const origin = { ip: mapIp(encodeIp(remoteAddress)), port: remotePort, notIdeal: upgrade.notIdeal };
  if (upgrade.carrier === "websocket") {
    const open: OpenSession = (transport) => {
      core.counters.webSocketAccepts++;
      return core.open(transport, Buffer.alloc(0), origin, now(), loggedIn);
    };
    attachWebSocket(request, socket, head, open, now);
  } else {
    const greeting = renderUpgradeAnswer(upgrade, core.publicKey);
    const open: OpenSession = (transport) => core.open(transport, greeting, origin, now(), loggedIn);
    attachSession(socket, head, open, now);
  }
}

/** The far end of a connection, which no two that are open share. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function answerPlain(
  request: IncomingMessage,
  { answers, debug }: DerpServerOptions,
): PlainAnswer | Promise<PlainAnswer> {
  return debugAnswer(debugRequest(request), debug) ?? answer(plainRequest(request, debug.access), answers);
}

/**
 * Answers on a socket that Node has handed over, and is done with it. What the client still sends is read and dropped:
 * nobody would notice the end of a stream that nobody reads, and the socket would stay.
 */
function dismiss(socket: Duplex, last: PlainAnswer | Promise<PlainAnswer>): void {
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.resume();
  void Promise.resolve(last).then((found) => {
    socket.end(renderAnswer(found));
    setTimeout(() => socket.destroy(), dismissMs).unref();
  });
}

function renderAnswer({ status, headers, body }: PlainAnswer): string {
  const lines = Object.entries({
    ...headers,
    "Content-Length": `${Buffer.byteLength(body)}`,
    Connection: "close",
  });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n");
}
