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
 * With a DNS name, a connection for another name is refused (derper's manual mode); with an IP address any SNI goes.
 *
 * @param current the context to answer with; it changes when the certificate does
 */
export function listenerOptions(hostname: string, current: () => SecureContext): TlsOptions {
  return {
    ALPNProtocols: ["http/1.1"],
    SNICallback: (servername, done) => {
      if (acceptsServerName(hostname, servername)) done(null, current());
      else done(new Error(`no certificate for ${servername}`));
    },
  };
}

/** Tells whether a client that asked for `servername` (undefined: sent no SNI) may be answered. */
export function acceptsServerName(hostname: string, servername: string | undefined): boolean {
  return isIP(hostname) !== 0 || servername?.toLowerCase() === hostname.toLowerCase();
}
