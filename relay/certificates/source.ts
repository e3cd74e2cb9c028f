/** What a listener asks of whoever looks after certificates. */
import type { CertificatePair } from "../config/certificate-files.ts";
import type { CertificateStatus } from "./report.ts";

/** Whom a client wants to talk to, as far as its handshake says. */
export interface Asked {
  /**
   * SNI as the client has written it, upper case and all: whether case matters is the source's to say. Undefined if the
   * client names no server.
   */
  readonly servername: string | undefined;
  /**
   * The address that it came to, IPv4 never in its mapped form. Undefined if that is not known, as it never is to a listener
   * whose source has no `challenges`.
   */
  readonly localAddress: string | undefined;
}

export interface CertificateSource {
  /**
   * The certificate for a handshake; undefined refuses it. While the first certificate is on its way a promise of it, so
   * that the handshakes that come meanwhile can wait; it never rejects. The same certificate is the same object each time:
   * what a listener makes of it is kept by that.
   */
  find(asked: Asked): CertificatePair | undefined | Promise<CertificatePair | undefined>;
  /** Tells that `find` may answer differently from now on. Connections that are there stay. */
  onChange(tell: () => void): void;
  /** Undefined if nobody proves anything over this listener. */
  readonly challenges: ChallengeAnswers | undefined;
}

/** Where proof can be asked for on this machine, by the method. */
export type ListeningPorts = Readonly<Record<"tls-alpn-01" | "http-01", readonly number[]>>;

/** A source that looks after its certificates by itself until it is disposed of. */
export interface KeptSource extends CertificateSource, AsyncDisposable {
  /** Begins. Whoever listens does so by now: authorities look for proof there. */
  start(ports: ListeningPorts): void;
  statuses(): readonly CertificateStatus[];
  /**
   * Looks after them now, as on SIGHUP.
   *
   * @throws KitError what keeps it from that; what was shown before goes on
   */
  reload(): Promise<void>;
}

/** What a certificate authority asks to see while it validates an order. */
export interface ChallengeAnswers {
  /** What to show to a hello with ALPN `acme-tls/1` (RFC 8737, section 3). @param servername in lower case */
  tls(servername: string): CertificatePair | undefined;
  /** The body at `/.well-known/acme-challenge/` (RFC 8555, section 8.3). */
  http(token: string): string | undefined;
}
