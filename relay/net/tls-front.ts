/**
 * TLS for a listener over which certificate authorities look for proof (TLS-ALPN-01, RFC 8737).
 *
 * A plain server takes the connections and reads each client's hello before TLS does. Whom it asks for decides on the
 * certificate, and ALPN on whether it is an authority that asks. TLS itself would ask in an order that depends on its
 * version; and with a certificate for those who name nobody, Node shows that one also to those whom it was told to refuse.
 */
import { createServer, type Server, type Socket } from "node:net";
import * as tls from "node:tls";
import type { CertificateSource, ChallengeAnswers } from "../certificates/source.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { normaliseIp } from "../ip-address.ts";
import { type ClientHello, createHelloReader, type HelloReading } from "./client-hello.ts";
import { farEnd } from "./far-end.ts";
import type { PerPair } from "./tls-identity.ts";

export interface TlsFrontOptions {
  readonly source: CertificateSource;
  readonly challenges: ChallengeAnswers;
  /** Do TLS and never listen, one for each certificate. */
  readonly servers: PerPair<tls.Server>;
  /** From the connection to the end of its handshake, in milliseconds. */
  readonly handshakeMs: number;
}

export interface TlsFront {
  readonly server: Server;
  /** To be called for each connection whose handshake is done. */
  readonly release: (socket: tls.TLSSocket) => void;
  /** Serves from now on. */
  readonly open: () => void;
}

const acmeProtocol = "acme-tls/1";
/** The fatal alert no_application_protocol (RFC 7301, section 3.2), as it is sent before there are keys. */
const noApplicationProtocol = Buffer.of(21, 3, 3, 0, 2, 2, 120);

export function createTlsFront({ source, challenges, servers, handshakeMs }: TlsFrontOptions): TlsFront {
  const server = createServer({ noDelay: true });
  const deadlines = new Map<string, NodeJS.Timeout>();
  const release: TlsFront["release"] = (socket) => clearTimeout(deadlines.get(farEnd(socket)));
  const serve = (socket: Socket, pair: CertificatePair | undefined): void => {
    if (!socket.destroyed) servers.of(pair).emit("connection", socket);
  };
  const decide = (socket: Socket, hello: ClientHello): void => {
    const { servername } = hello;
    if (isAcme(hello)) return answerAuthority(socket, challenges.tls(servername?.toLowerCase() ?? ""));
    const found = source.find({ servername, localAddress: normaliseIp(socket.localAddress ?? "") });
    if (found instanceof Promise) void found.then((pair) => serve(socket, pair));
    else serve(socket, found);
  };
  const receive = (socket: Socket): void => {
    if (socket.destroyed) return; // A limit has turned it away.
    const name = farEnd(socket);
    const deadline = setTimeout(() => socket.destroy(), handshakeMs);
    deadlines.set(name, deadline);
    socket.on("close", () => {
      clearTimeout(deadline);
      deadlines.delete(name);
    });
    socket.on("error", () => {}); // A close follows.
    readHello(socket, (reading) => {
      // TLS itself says best what is wrong with a hello.
      if (reading.kind === "hello") decide(socket, reading);
      else serve(socket, undefined);
    });
  };
  return { server, release, open: () => void server.on("connection", receive) };
}

/** Reads a hello and puts it back. Nothing is told of a client that leaves before. */
function readHello(socket: Socket, tell: (reading: HelloReading) => void): void {
  const reader = createHelloReader();
  const read = (): void => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      const reading = reader.push(chunk as Buffer);
      if (reading.kind === "partial") continue;
      socket.off("readable", read);
      socket.unshift(reader.bytes);
      tell(reading);
      return;
    }
  };
  socket.on("readable", read);
}

/** RFC 8737, section 3: an authority offers this protocol and no other. */
function isAcme({ alpn }: ClientHello): boolean {
  return alpn.length === 1 && alpn[0] === acmeProtocol;
}

/** The connection is of no use beyond its handshake (RFC 8737, section 3). The deadline ends what a client leaves open. */
function answerAuthority(socket: Socket, proof: CertificatePair | undefined): void {
  if (proof === undefined) return void socket.end(noApplicationProtocol);
  const secureContext = tls.createSecureContext({ cert: proof.chain, key: proof.key, minVersion: "TLSv1.2" });
  const secured = new tls.TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [acmeProtocol] });
  secured.on("error", () => {}); // A close follows.
  secured.once("secure", () => secured.end());
}
