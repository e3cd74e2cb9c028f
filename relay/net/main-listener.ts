/** The main listener before it serves anything: TLS of the relay's own, or plain HTTP behind a proxy that does TLS. */
import type { EventEmitter } from "node:events";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import type { CertificatePair } from "../config/certificate-files.ts";
import type { NodeKey } from "../crypto/keys.ts";
import type { TlsCounters } from "./tls-counters.ts";
import { contextOptions, listenerOptions, unnamedOptions } from "./tls-identity.ts";

/** What the code that serves requests asks of a listener, whichever it is. */
export interface MainListener extends Disposable {
  readonly server: net.Server;
  /** Asked once per TCP connection: false if it has to be closed at once. */
  readonly accepts: () => boolean;
  /** Counts a TCP connection that is closed at once for another reason. */
  readonly reject: () => void;
  /** Hands on each connection once it is ready for HTTP. */
  readonly serve: (handle: (socket: Duplex) => void) => void;
  /** Counts a request; it lasts until `end` closes. */
  readonly begin: (socket: Duplex, end: EventEmitter) => void;
  /** What new handshakes are answered with; undefined without TLS. */
  readonly certificate: CertificatePair | undefined;
  /** Answers new handshakes with this certificate; connections that are there stay. */
  readonly useCertificate: (certificate: CertificatePair) => void;
}

export interface TlsOptions {
  readonly hostname: string;
  readonly certificate: CertificatePair;
  /** The limit on new connections. derper's plain listener has none. */
  readonly accepts: () => boolean;
  readonly counters: TlsCounters;
}

/** For the TLS handshake. derper: 30 s. */
const handshakeMs = 15_000;
const dayMs = 86_400_000;

/** @param relayKey goes into the meta certificate, which clients take it from */
export function createTlsListener(
  { hostname, certificate: first, accepts, counters }: TlsOptions,
  relayKey: NodeKey,
): MainListener {
  let certificate = first;
  const context = () => contextOptions(certificate, relayKey, new Date());
  let secureContext = tls.createSecureContext(context());
  const server = tls.createServer({
    ...unnamedOptions(hostname, context()),
    ...listenerOptions(hostname, () => secureContext),
    handshakeTimeout: handshakeMs,
    noDelay: true,
  });
  const refresh = (): void => {
    secureContext = tls.createSecureContext(context());
    server.setSecureContext(unnamedOptions(hostname, context()));
  };
  // The meta certificate says how long it lasts; nobody minds, but nobody shall have to (repair Q6).
  const daily = setInterval(refresh, dayMs).unref();
  // `handshakeTimeout` and failed handshakes only emit this: without destroy() the socket would stay.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return {
    server,
    accepts,
    reject: () => void counters.rejected++,
    serve: (handle) => void server.on("secureConnection", handle),
    begin: (socket, end) => counters.begin(socket, end),
    get certificate() {
      return certificate;
    },
    useCertificate(next) {
      certificate = next;
      refresh();
    },
    [Symbol.dispose]: () => clearInterval(daily),
  };
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
    certificate: undefined,
    useCertificate: () => {},
    [Symbol.dispose]: () => {},
  };
}
