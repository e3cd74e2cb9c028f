/** What the relay shows in the TLS handshake: a certificate with the meta certificate behind it. */
import { constants, generateKeyPairSync } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { NodeKey } from "../crypto/keys.ts";
import { buildMetaCertificate } from "../protocol/meta-certificate.ts";
import { renderPem } from "../crypto/pem.ts";
import type { CertificatePair } from "../config/certificate-files.ts";

/** Only HTTP/1.1 is offered: DERP cannot upgrade from HTTP/2 (repair Q5). Tailscale clients send no ALPN, which is fine. */
export const servedProtocols = ["http/1.1"];

const dayMs = 86_400_000;
/** As in derper; made anew each day (repair Q6), so that it never ends. */
const metaValidityMs = 30 * dayMs;

/** AES-GCM before ChaCha20: with the processor's help it costs half as much. Names that only TLS 1.2 knows come last. */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** For those who are shown no certificate: their handshake fails before one could be, as in derper. */
export const bareOptions: SecureContextOptions = {
  minVersion: "TLSv1.2",
  ciphers: ciphers.join(":"),
  honorCipherOrder: true,
  // Tailscale clients keep no session cache: tickets would be work for nobody.
  secureOptions: constants.SSL_OP_NO_TICKET,
};

/** Context options for a certificate, with a fresh meta certificate appended to what is sent. The pair stays as it is. */
export function contextOptions(pair: CertificatePair, relayKey: NodeKey, now: Date): SecureContextOptions {
  const meta = buildMetaCertificate({
    relayKey,
    notBefore: new Date(now.getTime() - metaValidityMs),
    notAfter: new Date(now.getTime() + metaValidityMs),
    signer: generateKeyPairSync("ed25519").privateKey,
  });
  return {
    ...bareOptions,
    cert: `${pair.chain.trimEnd()}\n${renderPem("CERTIFICATE", meta)}`,
    key: pair.key,
  };
}

/** Context options that show a pair, or none. */
export function tlsOptions(
  pair: CertificatePair | undefined,
  relayKey: NodeKey,
  now: Date,
): SecureContextOptions {
  return pair === undefined ? bareOptions : contextOptions(pair, relayKey, now);
}

/** What is made of each certificate once, when it is first asked for, and again after a refresh. */
export interface PerPair<T> {
  /** The same for the same object; one for those who are shown none. */
  of(pair: CertificatePair | undefined): T;
  /** Has all be made anew. */
  refresh(): void;
}

export function createPerPair<T>(make: (pair: CertificatePair | undefined) => T): PerPair<T> {
  const bare = make(undefined);
  let made = new WeakMap<CertificatePair, { readonly value: T }>();
  return {
    of(pair) {
      if (pair === undefined) return bare;
      const known = made.get(pair) ?? { value: make(pair) };
      made.set(pair, known);
      return known.value;
    },
    refresh() {
      made = new WeakMap();
    },
  };
}
