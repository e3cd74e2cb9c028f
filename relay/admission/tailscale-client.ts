/** The one thing that admission asks of the Tailscale API: which node keys the tailnet's devices have. */
import { bodyOf, requestAccessToken, TailscaleApiError } from "./access-token.ts";
import { type AccessToken, parseDeviceKeys } from "./device-list.ts";
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
/** Some 50,000 devices. */
const maxListBytes = 67_108_864;
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

  async #requestToken(signal: AbortSignal): Promise<AccessToken> {
    const { clientId, readSecret } = this.#options;
    const grant = { clientId, clientSecret: await readSecret(), scope };
    return requestAccessToken((path, request) => this.#send(path, request), grant, signal);
  }

  async #send(path: string, request: Omit<HttpRequest, "url" | "agent">): Promise<HttpReply> {
    const url = new URL(path, this.#options.baseUrl);
    return sendRequest({ ...request, url, agent: this.#agentFor(url) });
  }
}
