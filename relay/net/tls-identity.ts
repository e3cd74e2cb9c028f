/** What the relay shows in the TLS handshake: its certificate with the meta certificate behind it, and to whom. */
import { constants, generateKeyPairSync } from "node:crypto";
import { isIP } from "node:net";
import type { SecureContext, SecureContextOptions, TlsOptions } from "node:tls";
import type { NodeKey } from "../crypto/keys.ts";
import { buildMetaCertificate } from "../protocol/meta-certificate.ts";
import { renderPem } from "../crypto/pem.ts";
import type { CertificatePair } from "../config/certificate-files.ts";

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

/** Context options for a certificate, with a fresh meta certificate appended to what is sent. The pair stays as it is. */
export function contextOptions(pair: CertificatePair, relayKey: NodeKey, now: Date): SecureContextOptions {
  const meta = buildMetaCertificate({
    relayKey,
    notBefore: new Date(now.getTime() - metaValidityMs),
    notAfter: new Date(now.getTime() + metaValidityMs),
    signer: generateKeyPairSync("ed25519").privateKey,
  });
  return {
    cert: `${pair.chain.trimEnd()}\n${renderPem("CERTIFICATE", meta)}`,
    key: pair.key,
    minVersion: "TLSv1.2",
    ciphers: ciphers.join(":"),
    honorCipherOrder: true,
    // Tailscale clients keep no session cache: tickets would be work for nobody.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/**
 * Options of the listener. Only HTTP/1.1 is offered: DERP cannot upgrade from HTTP/2 (repair Q5); a hello without ALPN,
 * which is what Tailscale clients send, is fine.
 *
 * @param current the context to answer with; it changes when the certificate does
 */
export function listenerOptions(hostname: string, current: () => SecureContext): TlsOptions {
  return {
    ALPNProtocols: ["http/1.1"],
    SNICallback: (servername, done) => done(null, isShownTo(servername, hostname) ? current() : undefined),
  };
}

/**
 * The context of the clients that `SNICallback` gives none, or is not asked about, as they name no server. With a DNS name
 * it has no certificate, and the handshake fails before one is shown (derper's manual mode); with an IP address whoever
 * comes is shown it.
 *
 * @param context from `contextOptions`
 */
export function unnamedOptions(hostname: string, context: SecureContextOptions): SecureContextOptions {
  if (isIP(hostname) !== 0) return context;
  const { cert: _cert, key: _key, ...rest } = context;
  return rest;
}

/** To the letter, as derper compares. */
function isShownTo(servername: string, hostname: string): boolean {
  return isIP(hostname) !== 0 || servername === hostname;
}
