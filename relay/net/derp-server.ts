/** The relay's main listener: plain requests get their answer, upgrades become DERP sessions. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { RelayCore } from "../core/core.ts";
import { encodeIp, mapIp } from "../ip-address.ts";
import { parseConnectTarget, tunnelTo } from "./ace.ts";
import { attachSession, type OpenSession } from "./attach-session.ts";
import { type ConnectionCaps, type Place, takePlace } from "./connection-caps.ts";
import { farEnd } from "./far-end.ts";
import { createHttpServer } from "./http-server.ts";
import { listenOn, type ListenPlace } from "./listen.ts";
import {
  createPlainListener,
  createTlsListener,
  type MainListener,
  type TlsOptions,
} from "./main-listener.ts";
import { answerMain, type RouteContext } from "./routes.ts";
import { parseUpgrade, renderUpgradeAnswer, type UpgradeRequest } from "./upgrade.ts";
import { attachWebSocket } from "./websocket.ts";

export interface DerpServerOptions extends RouteContext {
  readonly core: RelayCore;
  readonly listen: ListenPlace;
  /** Undefined for plain HTTP, behind a proxy that does TLS. */
  readonly tls: TlsOptions | undefined;
  /** Tells a connection of the relay's own probes, which no limit turns away and no metric counts. */
  readonly isOwnProbe: (connection: Pick<Socket, "remoteAddress" | "remotePort">) => boolean;
  readonly caps: ConnectionCaps;
  /** Idle milliseconds before TCP keepalive probes; 0 for none. */
  readonly keepaliveMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export interface DerpServer extends AsyncDisposable {
  readonly address: AddressInfo;
  /** TCP connections of others that are open, whatever they have come to. */
  readonly connections: number;
  /** Takes no new connection, and makes no session of one that is here. */
  stopAccepting(): void;
}

/**
 * Starts to listen.
 *
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function startDerpServer(options: DerpServerOptions): Promise<DerpServer> {
  const { core, tls } = options;
  const listener = tls === undefined ? createPlainListener() : createTlsListener(tls, core.publicKey);
  const { server } = listener;
  const [sockets, probes] = [new Set<Duplex>(), new Set<Duplex>()];
  /** By the far end of the connection. */
  const places = new Map<string, Place>();
  let closed: Promise<unknown> | undefined;
  const stopAccepting = (): Promise<unknown> => {
    if (closed === undefined) {
      closed = once(server, "close");
      server.close();
    }
    return closed;
  };

  // What is closed here never gets further; unlike derper, which ends with the first one that is too many (repair Q2).
  server.prependListener("connection", (socket: Socket) => {
    if (options.isOwnProbe(socket)) {
      probes.add(socket);
      socket.on("close", () => probes.delete(socket));
      return;
    }
    const place = takePlace(socket, options.caps);
    if (place === undefined) {
      listener.reject();
    } else if (listener.accepts()) {
      const name = farEnd(socket);
      sockets.add(socket);
      places.set(name, place);
      socket.on("close", () => {
        sockets.delete(socket);
        places.delete(name);
      });
    } else socket.destroy();
  });
  const serveHttp = createHttpServer({
    answer(request, message, done) {
      listener.begin(message.socket, done);
      return answerMain(request, message, options);
    },
    connect(message) {
      const target = options.secure && options.ace ? parseConnectTarget(message.url ?? "") : undefined;
      if (target !== undefined) listener.begin(message.socket, message.socket);
      return target && tunnelTo(target);
    },
    // Other upgrades are ignored, as derper ignores them.
    upgrade({ target, headers }, connection) {
      const upgrade = options.answers.derp ? parseUpgrade(target, headers) : undefined;
      if (upgrade === undefined) return undefined;
      const loggedIn = settling(places.get(farEnd(connection as Socket)));
      return (socket, head, message) =>
        takeOver(upgrade, message, socket, head, { ...options, listener, loggedIn });
    },
  });
  listener.serve(serveHttp);
  const address = await listenOn(server, options.listen, "The relay");

  return {
    address,
    get connections() {
      return sockets.size;
    },
    stopAccepting() {
      void stopAccepting();
    },
    async [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
      const stopped = stopAccepting();
      core.close("shutdown");
      for (const socket of [...sockets, ...probes]) socket.destroy();
      await stopped;
    },
  };
}

function takeOver(
  upgrade: UpgradeRequest,
  message: IncomingMessage | undefined,
  socket: Duplex,
  head: Buffer,
  options: DerpServerOptions & { readonly listener: MainListener; readonly loggedIn: () => void },
): void {
  const { core, listener, loggedIn, keepaliveMs, now } = options;
  const connection = socket as Socket;
  const own = options.isOwnProbe(connection);
  if (!own) listener.begin(socket, socket);
  if (keepaliveMs > 0) connection.setKeepAlive(true, keepaliveMs);
  const { remoteAddress = "", remotePort = 0 } = connection;
  const origin = { ip: mapIp(encodeIp(remoteAddress)), port: remotePort, notIdeal: upgrade.notIdeal };
  if (upgrade.carrier === "websocket" && message !== undefined) {
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
