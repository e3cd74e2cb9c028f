/** The answers to what certificate authorities ask, for as long as they may ask. */
import type { CertificatePair } from "../config/certificate-files.ts";
import type { ChallengeAnswers } from "./source.ts";

export class Challenges implements ChallengeAnswers {
  readonly #tls = new Map<string, CertificatePair>();
  readonly #http = new Map<string, string>();

  tls(servername: string): CertificatePair | undefined {
    return this.#tls.get(servername);
  }

  http(token: string): string | undefined {
    return this.#http.get(token);
  }

  /** Shows a certificate for TLS-ALPN-01 until it is disposed of. @param servername as the CA will send it */
  offerTls(servername: string, pair: CertificatePair): Disposable {
    return offer(this.#tls, servername, pair);
  }

  /** Answers HTTP-01 until it is disposed of. */
  offerHttp(token: string, keyAuthorization: string): Disposable {
    return offer(this.#http, token, keyAuthorization);
  }
}

/** A newer offer under the same name stays when an older one goes. */
function offer<T>(offers: Map<string, T>, name: string, answer: T): Disposable {
  offers.set(name, answer);
  return {
    [Symbol.dispose]() {
      if (offers.get(name) === answer) offers.delete(name);
    },
  };
}
