/** HTTP requests to others: bounded in time and bytes, through the proxy that the environment names. */
import { once } from "node:events";
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import type { SecureContext } from "node:tls";
import { KitError } from "../errors.ts";
import { TimeLimit } from "./failure.ts";

/** Connections at once to one host: logins come in storms, the rest wait in line. */
const maxSockets = 64;

export interface HttpOptions {
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read, in upper or lower case. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whose certificates are trusted; Node's own list by default. Made once: it holds some 150 roots. */
  readonly trust?: SecureContext;
}

/** Picks the agent for a request. */
export type AgentFor = (url: URL) => http.Agent;

export interface HttpRequest {
  readonly url: URL;
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent: http.Agent;
  /** A unix socket to connect to, in the place of the URL's host. */
  readonly socketPath?: string;
  /** The body is read as far as this. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body, or as much of it as came and was wanted. */
  readonly body: Buffer;
  /** The body came to its end. */
  readonly complete: boolean;
}

/**
 * Sends one request. It follows no redirect.
 *
 * @throws if no head of an answer came: whatever happens later is part of the reply
 */
export async function sendRequest(options: HttpRequest): Promise<HttpReply> {
  const { url, method, headers, body, agent, socketPath, signal } = options;
  const { request } = url.protocol === "https:" ? https : http;
  const sent = request(url, {
    method,
    headers,
    agent,
    signal,
    ...(socketPath === undefined ? {} : { socketPath }),
  });
  sent.on("error", () => {}); // Before the head `once` throws it; after the head the body's reader meets it.
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    ...(await readStart(response, options.maxBytes)),
  };
}

/**
 * Makes the agents for all requests to one service. Like Go's, they use no proxy for this machine itself.
 *
 * Connections are not kept: one that the server is just closing would make a request fail, and who asked be refused.
 *
 * @throws KitError `config-invalid` if the environment names a proxy that is none
 */
export function buildAgents({ env, trust }: HttpOptions): AgentFor {
  const proxyEnv = readProxies(env);
  const tls = trust === undefined ? {} : { secureContext: trust };
  const direct = { http: new http.Agent({ maxSockets }), https: new https.Agent({ maxSockets, ...tls }) };
  const proxied = {
    http: new http.Agent({ maxSockets, proxyEnv }),
    https: new https.Agent({ maxSockets, proxyEnv, ...tls }),
  };
  return ({ hostname, protocol }) => {
    const agents = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname) ? direct : proxied;
    return protocol === "https:" ? agents.https : agents.http;
  };
}

/**
 * Runs something with a time limit, whose signal is aborted at the limit or when `signal` is.
 *
 * @throws TimeLimit at the limit, the signal's reason when that is aborted, or what `run` throws before
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new TimeLimit(ms)), ms);
  const stop = (): void => limit.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  try {
    return await run(limit.signal);
  } catch (error) {
    throw limit.signal.aborted ? limit.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** The environment's proxies. As in Go, `proxy.example.net:3128` is one too, which Node would pass over in silence. */
function readProxies(env: HttpOptions["env"]): Record<string, string | undefined> {
  const proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].flatMap((name) => {
    const value = env[name];
    if (value === undefined || value === "") return [];
    const url = value.includes("://") ? value : `http://${value}`;
    if (URL.canParse(url) && /^https?:/i.test(url)) return [[name, url] as const];
    // The value is not shown: it may hold a password.
    throw new KitError("config-invalid", { where: name, message: "The proxy is no http or https URL." });
  });
  return { ...Object.fromEntries(proxies), NO_PROXY: env["NO_PROXY"], no_proxy: env["no_proxy"] };
}

async function readStart(
  response: IncomingMessage,
  maxBytes: number,
): Promise<Pick<HttpReply, "body" | "complete">> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBytes) break;
    }
  } catch {
    // The connection broke, or time is up.
  }
  return {
    body: Buffer.concat(chunks).subarray(0, maxBytes),
    complete: response.complete && length <= maxBytes,
  };
}
