/** A verified TLS connection to a relay, for DERP or HTTP. */
import { isIP } from "node:net";
import process from "node:process";
import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import * as tls from "node:tls";
import { readCertificateFolders } from "./certificate-folders.ts";
import { findIdentityFault, type RelayIdentity } from "./certificates.ts";
import { describeError, dial, type Endpoint, type Tap, tapSocket } from "./dial.ts";
import { orGiveUp, RelayFailure } from "./failure.ts";

export interface TlsOptions {
  readonly endpoint: Endpoint;
  /** Where to connect from; the system's choice by default. */
  readonly from?: Endpoint;
  /** DNS name or IP address. */
  readonly hostName: string;
  /** From `createTrust`. */
  readonly trust: tls.SecureContext;
  /** Limits the set-up; the transport lives on. */
  readonly signal: AbortSignal;
  readonly tap?: Tap;
}

export type TransportOptions = Omit<TlsOptions, "hostName" | "from"> & { readonly identity: RelayIdentity };

export interface Transport extends AsyncDisposable {
  /** Application bytes in both directions. */
  readonly stream: Duplex;
  /** `TLSv1.3` or `TLSv1.2`; empty without TLS. */
  readonly tlsVersion: string;
  /** DER of every certificate that the relay sent, in its order: leaf, intermediates, meta certificate. */
  readonly certificates: readonly Buffer[];
}

/** What a server has shown, and the reason to leave, as a clause, if there is one. */
export interface Judgement {
  readonly certificates: readonly Buffer[];
  readonly fault: string | undefined;
}

/** How long a relay may take to take leave. */
const closeMs = 1_000;

/**
 * Collects the roots that clients trust: the system's, which SSL_CERT_FILE and SSL_CERT_DIR may move, or Node's own
 * list where the system has none; and the given ones. As in Go each of them is an end of the chain, whoever signed it:
 * otherwise OpenSSL would look at one alone of several with the same subject, as two self-signed relays may have it.
 *
 * @param extraRoots PEM texts
 * @throws Error of OpenSSL if an extra root is no PEM certificate
 */
export function createTrust(extraRoots: readonly string[] = []): tls.SecureContext {
  const folders = readCertificateFolders(process.env["SSL_CERT_DIR"] ?? "");
  const system = [...tls.getCACertificates("system"), ...folders];
  const roots = system.length > 0 ? system : tls.getCACertificates("bundled");
  return tls.createSecureContext({
    ca: [...new Set([...roots, ...extraRoots])],
    allowPartialTrustChain: true,
    minVersion: "TLSv1.2",
  });
}

/**
 * Connects and checks who answers.
 *
 * @throws RelayFailure
 */
export function openTransport({ identity, ...options }: TransportOptions): Promise<Transport> {
  return openTls({ ...options, hostName: identity.hostName }, (stream) => {
    const certificates = listCertificates(stream);
    const chainFault = stream.authorized ? undefined : String(stream.authorizationError);
    return { certificates, fault: findIdentityFault({ certificates, chainFault }, identity, new Date()) };
  });
}

/**
 * Connects, shakes hands and has it judged whom with. SNI is the host name unless that is an IP address; ALPN is not
 * offered, as native clients offer none.
 *
 * @throws RelayFailure
 */
export async function openTls(
  options: TlsOptions,
  judge: (stream: tls.TLSSocket) => Judgement,
): Promise<Transport> {
  const { endpoint, from, hostName, trust, signal, tap } = options;
  const socket = await dial(endpoint, signal, from);
  const stream = tls.connect({
    socket: tap === undefined ? socket : tapSocket(socket, tap),
    secureContext: trust,
    // The judgement comes before the first byte is written. It knows pins, which Node's does not.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(isIP(hostName) === 0 ? { servername: hostName } : {}),
  });
  // Every failure ends in a close, which is what users of the stream wait for.
  stream.on("error", () => {});
  try {
    await orGiveUp(handshake(stream), signal, () => "the TLS handshake");
    const { certificates, fault } = judge(stream);
    if (fault !== undefined) throw new RelayFailure(fault);
    const tlsVersion = stream.getProtocol() ?? "";
    return { stream, tlsVersion, certificates, [Symbol.asyncDispose]: () => closeStream(stream) };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Takes leave as TLS and TCP want it, and leaves anyway if the other side does not take part. */
export async function closeStream(stream: Duplex): Promise<void> {
  stream.end();
  await finished(stream, { readable: false, signal: AbortSignal.timeout(closeMs) }).catch(() => {});
  stream.destroy();
}

function handshake(stream: tls.TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once("secureConnect", resolve);
    stream.once("error", (error) =>
      reject(new RelayFailure(`the TLS handshake failed: ${describeError(error)}`, { cause: error })),
    );
    stream.once("close", () =>
      reject(new RelayFailure("the server closed the connection during the TLS handshake")),
    );
  });
}

/**
 * Every certificate that the server sent. On a peer's certificate, `issuerCertificate` is the next one in the
 * Certificate message, whoever issued it; that is how the meta certificate, which issued nothing, is seen.
 */
function listCertificates(stream: tls.TLSSocket): Buffer[] {
  const list: Buffer[] = [];
  for (let next = stream.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) {
    list.push(next.raw);
  }
  return list;
}
