/** A relay that is almost right: the real one, behind a server that changes what it says or shows. */
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { connect, createServer as createTlsServer } from "node:tls";
import { buildMetaCertificate } from "../../../relay/protocol/meta-certificate.ts";
import type { NodeKey } from "../../../relay/crypto/keys.ts";
import { renderPem } from "../../../relay/crypto/pem.ts";
import { createSelfSigned } from "../../../relay/crypto/self-signed.ts";
import type { RunningRelay } from "../../../relay/testing/running-relay.ts";
import { listenTcp } from "./servers.ts";

export interface Meddling {
  /** Changes a chunk of what the relay says. */
  readonly edit?: (chunk: Buffer) => Buffer;
  /** The key in the meta certificate; the relay's own unless given, no such certificate if null. */
  readonly metaKey?: NodeKey | null;
  /** Sends a certificate that has no business in the chain. */
  readonly stray?: boolean;
  /** Shows a certificate that ended yesterday. */
  readonly expired?: boolean;
}

export interface Meddler {
  readonly port: number;
  /** Of its own certificate. */
  readonly pin: string;
}

const dayMs = 86_400_000;

/** Starts a TLS server that passes everything to the relay and back, except for what it meddles with. */
export async function startMeddler(
  t: TestContext,
  running: RunningRelay,
  { edit = (chunk) => chunk, metaKey = running.relay.publicKey, stray = false, expired = false }: Meddling,
): Promise<Meddler> {
  const notBefore = new Date(Date.now() - 2 * dayMs);
  const notAfter = new Date(Date.now() + (expired ? -1 : 1) * dayMs);
  const leaf = createSelfSigned({ hostName: running.hostName, notBefore, notAfter });
  const signer = generateKeyPairSync("ed25519").privateKey;
  const meta =
    metaKey === null ? [] : [buildMetaCertificate({ relayKey: metaKey, notBefore, notAfter, signer })];
  const others = stray
    ? [createSelfSigned({ hostName: "stray.example", notBefore, notAfter }).certificatePem]
    : [];
  const cert = [leaf.certificatePem, ...others, ...meta.map((der) => renderPem("CERTIFICATE", der))].join("");
  const server = createTlsServer({ cert, key: leaf.keyPem }, (socket) => passOn(socket, running, edit));
  return { port: await listenTcp(t, server), pin: leaf.pin };
}

/** Starts a server that leaves TLS away: what clients send it in clear reaches the relay, and back. */
export async function startInClear(t: TestContext, running: RunningRelay): Promise<number> {
  return await listenTcp(
    t,
    createServer((socket) => passOn(socket, running, (chunk) => chunk)),
  );
}

function passOn(client: Socket, { hostName, derpPort }: RunningRelay, edit: (chunk: Buffer) => Buffer): void {
  const relay = connect({
    host: "127.0.0.1",
    port: derpPort,
    servername: hostName,
    rejectUnauthorized: false,
  });
  client.on("data", (chunk) => relay.write(chunk));
  relay.on("data", (chunk) => client.write(edit(chunk)));
  for (const [one, other] of [
    [client, relay],
    [relay, client],
  ] as const) {
    one.on("end", () => other.end());
    one.on("close", () => other.destroy());
    one.on("error", () => other.destroy());
  }
}
