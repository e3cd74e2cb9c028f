/** How one gets a token of the Tailscale API, and what its answers are when they are not what was asked for. */
import type { HttpReply, HttpRequest } from "../outbound/http.ts";
import { type AccessToken, parseAccessToken } from "./device-list.ts";
import { type FailureKind, failureOfStatus } from "./failure.ts";

const maxTokenBytes = 65_536;
/** A wish to be left alone for longer than this is not heeded. */
const maxRetryAfterMs = 300_000;

/** The API did not give what was asked for. */
export class TailscaleApiError extends Error {
  readonly failure: FailureKind;
  /** For how long it wants to be left alone. */
  readonly retryAfterMs: number;
  /** The HTTP status; 200 if the answer itself is bad. */
  readonly status: number;

  constructor(message: string, failure: FailureKind = "answer", retryAfterMs = 0, status = 200) {
    super(message);
    this.name = "TailscaleApiError";
    this.failure = failure;
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

/** Sends a request to a path of the API. */
export type Send = (path: string, request: Omit<HttpRequest, "url" | "agent">) => Promise<HttpReply>;

/** What a token is given for: an OAuth client's secret, or the ID token of an identity that the tailnet trusts. */
export type Grant =
  | { readonly clientId: string; readonly clientSecret: string; readonly scope: string }
  | { readonly clientId: string; readonly idToken: string };

/**
 * Asks for a token. What it is given for goes in the body, where no log of requests shows it.
 *
 * @throws TailscaleApiError, or what the connection throws
 */
export async function requestAccessToken(
  send: Send,
  grant: Grant,
  signal: AbortSignal,
): Promise<AccessToken> {
  const [path, form] =
    "idToken" in grant
      ? ["/api/v2/oauth/token-exchange", { client_id: grant.clientId, jwt: grant.idToken }]
      : // Client credentials: RFC 6749, section 4.4.
        [
          "/api/v2/oauth/token",
          {
            grant_type: "client_credentials",
            client_id: grant.clientId,
            client_secret: grant.clientSecret,
            scope: grant.scope,
          },
        ];
  const reply = await send(path, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" },
    body: new URLSearchParams(form).toString(),
    maxBytes: maxTokenBytes,
    signal,
  });
  const token = parseAccessToken(bodyOf(reply, "token"));
  if (token === undefined) throw new TailscaleApiError("the token is no token");
  return token;
}

/**
 * The body of a good and whole answer. Redirects are not followed: they would carry the secret or the token elsewhere.
 *
 * @throws TailscaleApiError for any other
 */
export function bodyOf({ status, headers, body, complete }: HttpReply, what: string): Buffer {
  if (status !== 200) {
    const seconds = /^\d{1,9}$/.test(headers["retry-after"] ?? "") ? Number(headers["retry-after"]) : 0;
    throw new TailscaleApiError(
      `asked for the ${what}, the API answers ${status}`,
      failureOfStatus(status),
      Math.min(seconds * 1_000, maxRetryAfterMs),
      status,
    );
  }
  if (!complete) throw new TailscaleApiError(`the ${what} is cut off or too long`);
  return body;
}
