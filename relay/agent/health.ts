/** Whether the relay of this machine serves, asked from outside of its process as a client asks. */
import https from "node:https";
import { isIP } from "node:net";
import type { SecureContext } from "node:tls";
import * as v from "valibot";
import { login } from "../client/connection.ts";
import { RelayFailure } from "../client/failure.ts";
import { askStun } from "../client/stun.ts";
import { openTls } from "../client/transport.ts";
import { parseListenAddress } from "../config/listen-address.ts";
import { generatePrivateKey } from "../crypto/keys.ts";
import { sendRequest } from "../outbound/http.ts";

const healthSchema = v.object({ ok: v.boolean(), state: v.string(), bundle: v.nullable(v.string()) });

/**
 * Of a relay's configuration file what tells how it is asked. The rest is passed over: the release that is tried may know
 * options that this updater does not.
 */
const configSchema = v.object({
  hostname: v.string(),
  listen: v.optional(v.string(), ":443"),
  stun: v.optional(v.boolean(), true),
  stunPort: v.optional(v.number(), 3478),
  derp: v.optional(v.boolean(), true),
  admissionList: v.optional(v.string(), ""),
  admissionApiClientId: v.optional(v.string(), ""),
  verifyClientUrl: v.optional(v.string(), ""),
  verifyClients: v.optional(v.boolean(), false),
});

export type AskedConfig = v.InferOutput<typeof configSchema>;

/** @throws Error if it is no relay's configuration */
export function parseAskedConfig(text: string): AskedConfig {
  return v.parse(configSchema, JSON.parse(text));
}

const maxBytes = 65_536;
const address = "127.0.0.1";

/**
 * Asks once: its health page, whose `bundle` has to be the release's; STUN; and, where anybody may, a DERP login. Where
 * admission is closed the relay's own probes log in, and its health page says what they find.
 *
 * @param sha256 of the release's relay.mjs
 * @param trust for TLS; who the relay is does not matter here, as it is asked on this machine's own address
 * @throws Error that says as a clause what is wrong
 */
export async function askRelay(
  config: AskedConfig,
  sha256: string,
  trust: SecureContext,
  signal: AbortSignal,
): Promise<void> {
  const port = parseListenAddress(config.listen)?.port ?? 443;
  await askHealth(config.hostname, port, sha256, signal);
  if (config.stun) await askStun({ address, port: config.stunPort }, signal);
  if (config.derp && isOpen(config)) await logIn(config.hostname, port, trust, signal);
}

async function askHealth(hostName: string, port: number, sha256: string, signal: AbortSignal): Promise<void> {
  const agent = new https.Agent({
    rejectUnauthorized: false,
    ...(isIP(hostName) === 0 ? { servername: hostName } : {}),
  });
  const url = new URL(`https://${address}:${port}/healthz`);
  const headers = { Host: hostName };
  const { status, body } = await sendRequest({ url, method: "GET", headers, agent, maxBytes, signal });
  const health = v.safeParse(healthSchema, parseJson(body));
  if (!health.success)
    throw new RelayFailure(`its health page answers with HTTP status ${status} and no health`);
  const { ok, state, bundle } = health.output;
  if (!ok) throw new RelayFailure(`its health page says that it is ${state}`);
  if (bundle !== sha256) throw new RelayFailure("another bundle than the release's runs");
}

async function logIn(
  hostName: string,
  port: number,
  trust: SecureContext,
  signal: AbortSignal,
): Promise<void> {
  const endpoint = { address, port };
  const transport = await openTls({ endpoint, hostName, trust, signal }, () => ({
    certificates: [],
    fault: undefined,
  }));
  await using _ = await login(transport, {
    hostName,
    privateKey: generatePrivateKey(),
    prober: true,
    signal,
  });
}

function isOpen({
  admissionList,
  admissionApiClientId,
  verifyClientUrl,
  verifyClients,
}: AskedConfig): boolean {
  return admissionList === "" && admissionApiClientId === "" && verifyClientUrl === "" && !verifyClients;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
