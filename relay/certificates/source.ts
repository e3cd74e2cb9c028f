/** What a listener asks of whoever looks after certificates. */
import type { CertificatePair } from "../config/certificate-files.ts";

/** Whom a client wants to talk to, as far as its handshake says. */
export interface Asked {
  /** SNI in lower case; undefined if the client names no server. */
  readonly servername: string | undefined;
  /** The address that it came to; undefined if that is not known. */
  readonly localAddress: string | undefined;
}

export interface CertificateSource {
  /**
   * The certificate for a handshake; undefined refuses it. While the first certificate is on its way a promise of it, so
   * that the handshakes that come meanwhile can wait; it never rejects.
   */
  find(asked: Asked): CertificatePair | undefined | Promise<CertificatePair | undefined>;
  /** Tells that `find` may answer differently from now on. Connections that are there stay. */
  onChange(tell: () => void): void;
  /** Undefined if nobody proves anything over this listener. */
  readonly challenges: ChallengeAnswers | undefined;
}

/** What a certificate authority asks to see while it validates an order. */
export interface ChallengeAnswers {
  /** True while an answer to TLS-ALPN-01 may be asked for. */
  readonly pending: boolean;
  /** What to show to a hello with ALPN `acme-tls/1` (RFC 8737, section 3). @param servername in lower case */
  tls(servername: string): CertificatePair | undefined;
  /** The body at `/.well-known/acme-challenge/` (RFC 8555, section 8.3). */
  http(token: string): string | undefined;
}
