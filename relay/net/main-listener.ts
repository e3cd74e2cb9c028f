/** The main listener before it serves anything: TLS of the relay's own, or plain HTTP behind a proxy that does TLS. */
import type { EventEmitter } from "node:events";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import type { CertificateSource, ChallengeAnswers } from "../certificates/source.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import type { NodeKey } from "../crypto/keys.ts";
import type { TlsCounters } from "./tls-counters.ts";
import { createTlsFront } from "./tls-front.ts";
import { createPerPair, servedProtocols, tlsOptions } from "./tls-identity.ts";

/** What the code that serves requests asks of a listener, whichever it is. */
export interface MainListener extends Disposable {
  /** Emits `connection` with each TCP connection, of which nothing is read before its listeners have been called. */
  readonly server: net.Server;
  /** Asked once per TCP connection: false if it has to be closed at once. */
  readonly accepts: () => boolean;
  /** Counts a TCP connection that is closed at once for another reason. */
  readonly reject: () => void;
  /** Hands on each connection once it is ready for HTTP. */
  readonly serve: (handle: (socket: Duplex) => void) => void;
  /** Counts a request; it lasts until `end` closes. */
  readonly begin: (socket: Duplex, end: EventEmitter) => void;
}

export interface TlsOptions {
  /** What is shown to whom. Where it has answers for authorities, they are looked for before TLS begins. */
  readonly source: CertificateSource;
  /** The limit on new connections. derper's plain listener has none. */
  readonly accepts: () => boolean;
  readonly counters: TlsCounters;
}

/** For the TLS handshake, from the connection on. derper: 30 s. */
const handshakeMs = 15_000;
const dayMs = 86_400_000;

/** @param relayKey goes into the meta certificate, which clients take it from */
export function createTlsListener(
  { source, accepts, counters }: TlsOptions,
  relayKey: NodeKey,
): MainListener {
  const options = (pair: CertificatePair | undefined): tls.SecureContextOptions =>
    tlsOptions(pair, relayKey, new Date());
  const { challenges } = source;
  const { server, serve, refresh } =
    challenges === undefined ? serveDirectly(source, options) : serveBehindFront(source, challenges, options);
  source.onChange(refresh);
  // The meta certificate says how long it lasts; nobody minds, but nobody shall have to (repair Q6).
  const daily = setInterval(refresh, dayMs).unref();
  return {
    server,
    accepts,
    reject: () => void counters.rejected++,
    serve,
    begin: (socket, end) => counters.begin(socket, end),
    [Symbol.dispose]: () => clearInterval(daily),
  };
}

interface TlsServing extends Pick<MainListener, "server" | "serve"> {
  /** Has new handshakes see what the source finds now. */
  readonly refresh: () => void;
}

type MakeOptions = (pair: CertificatePair | undefined) => tls.SecureContextOptions;

/** The server that does TLS listens itself: on Bun a packet costs some 7 % less than behind a front. */
function serveDirectly(source: CertificateSource, options: MakeOptions): TlsServing {
  const contexts = createPerPair((pair) => tls.createSecureContext(options(pair)));
  /** For those who name no server; a certificate that is still on its way is not waited for. */
  const unnamed = (): CertificatePair | undefined => {
    const found = source.find({ servername: undefined, localAddress: undefined });
    return found instanceof Promise ? undefined : found;
  };
  const server = createTlsServer({
    ...options(unnamed()),
    SNICallback(servername, done) {
      const answer = (pair: CertificatePair | undefined): void => {
        if (pair !== undefined) done(null, contexts.of(pair));
        // Without a context of its own the handshake would go on with the one for those who name nobody.
        else done(unnamed() === undefined ? null : new Error(`no certificate for ${servername}`));
      };
      const found = source.find({ servername, localAddress: undefined });
      if (found instanceof Promise) void found.then(answer);
      else answer(found);
    },
  });
  return {
    server,
    serve: (handle) => void server.on("secureConnection", handle),
    refresh() {
      contexts.refresh();
      server.setSecureContext(options(unnamed()));
    },
  };
}

function serveBehindFront(
  source: CertificateSource,
  challenges: ChallengeAnswers,
  options: MakeOptions,
): TlsServing {
  let hand: ((socket: Duplex) => void) | undefined;
  const servers = createPerPair((pair) =>
    createTlsServer(options(pair)).on("secureConnection", (socket) => {
      front.release(socket);
      hand?.(socket);
    }),
  );
  const front = createTlsFront({ source, challenges, servers, handshakeMs });
  return {
    server: front.server,
    serve(handle) {
      hand = handle;
      front.open();
    },
    refresh: () => servers.refresh(),
  };
}

function createTlsServer(options: tls.TlsOptions): tls.Server {
  const server = tls.createServer({
    ...options,
    ALPNProtocols: servedProtocols,
    handshakeTimeout: handshakeMs,
    noDelay: true,
  });
  // `handshakeTimeout` and failed handshakes only emit this: without destroy() the socket would stay.
  return server.on("tlsClientError", (_error, socket) => void socket.destroy());
}

export function createPlainListener(): MainListener {
  const server = net.createServer({ noDelay: true });
  return {
    server,
    accepts: () => true,
    reject: () => {},
    serve(handle) {
      server.on("connection", (socket) => {
        if (!socket.destroyed) handle(socket);
      });
    },
    begin: () => {},
    [Symbol.dispose]: () => {},
  };
}
