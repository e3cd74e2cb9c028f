/** The relay's HTTPS listener: plain requests get their answer, upgrades become DERP sessions. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext, createServer, type TLSSocket } from "node:tls";
import type { CertificatePair } from "../config/certificate-files.ts";
import type { ListenAddress } from "../config/listen-address.ts";
import type { RelayCore } from "../core/core.ts";
import { encodeIp, mapIp } from "../ip-address.ts";
import { attachSession, type OpenSession } from "./attach-session.ts";
import { type ConnectionCaps, type Place, takePlace } from "./connection-caps.ts";
import { listenOn } from "./http-messages.ts";
import { createHttpServer } from "./http-server.ts";
import { answerMain, type RouteContext } from "./routes.ts";
import type { TlsCounters } from "./tls-counters.ts";
import { contextOptions, listenerOptions, unnamedOptions } from "./tls-identity.ts";
import { parseUpgrade, renderUpgradeAnswer, type UpgradeRequest } from "./upgrade.ts";
import { attachWebSocket } from "./websocket.ts";

export interface DerpServerOptions extends RouteContext {
  readonly core: RelayCore;
  readonly listen: ListenAddress;
  readonly hostname: string;
  readonly certificate: CertificatePair;
  /** Decides on each TCP connection whether it is taken; one that is not is closed at once. */
  readonly accepts: () => boolean;
  /** Tells a connection of the relay's own probes, which no limit turns away and no metric counts. */
  readonly isOwnProbe: (connection: Pick<Socket, "remoteAddress" | "remotePort">) => boolean;
  readonly caps: ConnectionCaps;
  readonly tls: TlsCounters;
  /** Idle milliseconds before TCP keepalive probes; 0 for none. */
  readonly keepaliveMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export interface DerpServer extends AsyncDisposable {
  readonly address: AddressInfo;
  /** TCP connections of others that are open, whatever they have come to. */
  readonly connections: number;
  /** What new handshakes are answered with. */
  readonly certificate: CertificatePair;
  /** Takes no new connection, and makes no session of one that is here. */
  stopAccepting(): void;
  /** Answers new handshakes with this certificate; connections that are there stay. */
  useCertificate(certificate: CertificatePair): void;
}

/** For the TLS handshake. derper: 30 s. */
const handshakeMs = 15_000;
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
    ...unnamedOptions(hostname, context()),
    ...listenerOptions(hostname, () => secureContext),
    handshakeTimeout: handshakeMs,
    noDelay: true,
  });
  const [sockets, probes] = [new Set<Duplex>(), new Set<Duplex>()];
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
    server.setSecureContext(unnamedOptions(hostname, context()));
  };
  // The meta certificate says how long it lasts; nobody minds, but nobody shall have to (repair Q6).
  const daily = setInterval(refresh, dayMs).unref();

  // What is closed here never gets further; unlike derper, which ends with the first one that is too many (repair Q2).
  server.prependListener("connection", (socket: Socket) => {
    if (options.isOwnProbe(socket)) {
      probes.add(socket);
      socket.on("close", () => probes.delete(socket));
      return;
    }
    const place = takePlace(socket, options.caps);
    if (place === undefined) {
      options.tls.rejected++;
    } else if (options.accepts()) {
      const name = nameOf(socket);
      sockets.add(socket);
      places.set(name, place);
      socket.on("close", () => {
        sockets.delete(socket);
        places.delete(name);
      });
    } else socket.destroy();
  });
  // `handshakeTimeout` and failed handshakes only emit this: without destroy() the socket would stay.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const serveHttp = createHttpServer({
    answer(request, message, done) {
      options.tls.begin(message.socket, done);
      return answerMain(request, message, options);
    },
    // Other upgrades are ignored, as derper ignores them.
    upgrade({ target, headers }, message) {
      const upgrade = options.answers.derp ? parseUpgrade(target, headers) : undefined;
      if (upgrade === undefined) return undefined;
      const loggedIn = settling(places.get(nameOf(message.socket)));
      return (socket, head) => {
        if (closed === undefined) takeOver(upgrade, message, socket, head, options, loggedIn);
        else socket.destroy();
      };
    },
  });
  server.on("secureConnection", serveHttp);
  await listenOn(server, options.listen, "The relay");

  return {
    address: server.address() as AddressInfo,
    get connections() {
      return sockets.size;
    },
    get certificate() {
      return certificate;
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
      for (const socket of [...sockets, ...probes]) socket.destroy();
      await stopped;
    },
  };
}

function takeOver(
  upgrade: UpgradeRequest,
  message: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: DerpServerOptions,
  loggedIn: () => void,
): void {
  const { core, keepaliveMs, now } = options;
  const connection = socket as TLSSocket;
  const own = options.isOwnProbe(connection);
  if (!own) options.tls.begin(socket, socket);
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
    attachWebSocket(message, socket, head, open, now);
  } else {
    const greeting = renderUpgradeAnswer(upgrade, core.publicKey);
    const open: OpenSession = own
      ? (transport) => core.openProbe(transport, greeting, origin, now())
      : (transport) => core.open(transport, greeting, origin, now(), loggedIn);
    attachSession(socket, head, open, now);
  }
}

/** For the session to call: it holds on to its connection's place, and not to the request. */
function settling(place: Place | undefined): () => void {
  return () => place?.settle();
}

/** The far end of a connection, which no two that are open share. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
