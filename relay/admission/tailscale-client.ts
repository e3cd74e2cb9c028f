/** The one thing that admission asks of the Tailscale API: which node keys the tailnet's devices have. */
import { type FailureKind, failureOfStatus } from "./failure.ts";
import { type AccessToken, parseAccessToken, parseDeviceKeys } from "./device-list.ts";
import {
  type AgentFor,
  buildAgents,
  type HttpOptions,
  type HttpReply,
  type HttpRequest,
  sendRequest,
} from "../outbound/http.ts";

/** The least that lets one list devices. A token for it can do nothing else, whatever the OAuth client may. */
const scope = "devices:core:read";
/** A token is replaced this long before its end, so that none ends under way. */
const tokenMarginMs = 60_000;
const maxTokenBytes = 65_536;
/** Some 50,000 devices. */
const maxListBytes = 67_108_864;
/** A wish to be left alone for longer than this is not heeded. */
const maxRetryAfterMs = 300_000;

/** The API did not give what was asked for. */
export class TailscaleApiError extends Error {
  readonly failure: FailureKind;
  /** For how long it wants to be left alone. */
  readonly retryAfterMs: number;

  constructor(message: string, failure: FailureKind = "answer", retryAfterMs = 0) {
    super(message);
    this.name = "TailscaleApiError";
    this.failure = failure;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface TailscaleClientOptions extends HttpOptions {
  /** `https://api.tailscale.com`, or another service with the same API. */
  readonly baseUrl: URL;
  readonly clientId: string;
  /** Reads the OAuth client's secret, each time a token is needed: about once an hour, and never kept. */
  readonly readSecret: () => Promise<string>;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export class TailscaleClient {
  readonly #options: TailscaleClientOptions;
  readonly #agentFor: AgentFor;
  #token: { readonly value: string; readonly goodUntil: number } | undefined;

  constructor(options: TailscaleClientOptions) {
    this.#options = options;
    this.#agentFor = buildAgents(options);
  }

  /**
   * Fetches the node keys of the tailnet's devices, as lower-case hex; never none.
   *
   * @throws TailscaleApiError, or what the connection or the secret's reader throws
   */
  async fetchKeys(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const token = await this.#accessToken(signal);
    const reply = await this.#send("/api/v2/tailnet/-/devices?fields=default", {
      method: "GET",
      headers: { Authorization: `Bearer ${token}`, Accept: "application/json" },
      maxBytes: maxListBytes,
      signal,
    });
    if (reply.status === 401) this.#token = undefined; // Revoked before its time: the next call takes a new one.
    const keys = parseDeviceKeys(bodyOf(reply, "device list"));
    if (keys === undefined) throw new TailscaleApiError("the device list is no device list");
    if (keys.size === 0) throw new TailscaleApiError("the device list is empty", "list");
    return keys;
  }

  async #accessToken(signal: AbortSignal): Promise<string> {
    const { now } = this.#options;
    if (this.#token !== undefined && now() < this.#token.goodUntil) return this.#token.value;
    const askedAt = now();
    const { value, livesMs } = await this.#requestToken(signal);
    this.#token = { value, goodUntil: askedAt + livesMs - tokenMarginMs };
    return value;
  }

  /** Client credentials (RFC 6749, section 4.4), with the secret in the body, where no log of requests shows it. */
  async #requestToken(signal: AbortSignal): Promise<AccessToken> {
    const { clientId, readSecret } = this.#options;
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId,
      client_secret: await readSecret(),
      scope,
    });
    const reply = await this.#send("/api/v2/oauth/token", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" },
      body: form.toString(),
      maxBytes: maxTokenBytes,
      signal,
    });
    const token = parseAccessToken(bodyOf(reply, "token"));
    if (token === undefined) throw new TailscaleApiError("the token is no token");
    return token;
  }

  async #send(path: string, request: Omit<HttpRequest, "url" | "agent">): Promise<HttpReply> {
    const url = new URL(path, this.#options.baseUrl);
    return sendRequest({ ...request, url, agent: this.#agentFor(url) });
  }
}

/** Redirects are not followed: they would carry the secret or the token elsewhere. */
function bodyOf({ status, headers, body, complete }: HttpReply, what: string): Buffer {
  if (status !== 200) {
    const seconds = /^\d{1,9}$/.test(headers["retry-after"] ?? "") ? Number(headers["retry-after"]) : 0;
    throw new TailscaleApiError(
      `asked for the ${what}, the API answers ${status}`,
      failureOfStatus(status),
      Math.min(seconds * 1_000, maxRetryAfterMs),
    );
  }
  if (!complete) throw new TailscaleApiError(`the ${what} is cut off or too long`);
  return body;
}
