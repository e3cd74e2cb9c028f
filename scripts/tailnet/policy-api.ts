/** The policy of a tailnet by way of the Tailscale API. Each request is bounded in time; no message holds a secret. */
import type { IncomingHttpHeaders } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Grant, requestAccessToken, TailscaleApiError } from "../../relay/admission/access-token.ts";
import { KitError, type Problem } from "../../relay/errors.ts";
import { describeFailure } from "../../relay/outbound/failure.ts";
import {
  type AgentFor,
  buildAgents,
  type HttpOptions,
  type HttpReply,
  type HttpRequest,
  sendRequest,
  withDeadline,
} from "../../relay/outbound/http.ts";
import type { Held, PolicyPlace, WriteOutcome } from "../policy/place.ts";
import { decodePolicy } from "../policy/text-file.ts";
import { type Credentials, type IdTokenSource, secretsOf } from "./credentials.ts";

const maxPolicyBytes = 33_554_432;
const maxAnswerBytes = 1_048_576;
/** What the API wants us to wait is waited as long as it is no more than this in all. */
const maxWaitMs = 30_000;
/** Where it only says that there were too many requests. */
const usualWaitMs = 2_000;

export interface PolicyApiOptions extends HttpOptions {
  /** `https://api.tailscale.com`, or another service with the same API. */
  readonly baseUrl: URL;
  /** `-` for the one that the credentials are of. */
  readonly tailnet: string;
  readonly credentials: Credentials;
  /** The least that suffices, for an OAuth client's token. */
  readonly scope: "policy_file" | "policy_file:read";
  /** For each request. */
  readonly timeoutMs: number;
  /** Told before the API is left alone for a while because it asked for it. */
  readonly onWait?: (ms: number) => void;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

type Request = Pick<HttpRequest, "method" | "headers" | "maxBytes"> & { readonly body?: string };

export class PolicyApi implements PolicyPlace {
  readonly name: string;
  readonly #options: PolicyApiOptions;
  readonly #agentFor: AgentFor;
  readonly #path: string;
  readonly #secrets: string[];
  #token: string | undefined;

  constructor(options: PolicyApiOptions) {
    const { tailnet, credentials } = options;
    this.name = tailnet === "-" ? "tailnet policy" : `policy of ${tailnet}`;
    this.#options = options;
    this.#agentFor = buildAgents(options);
    this.#path = `/api/v2/tailnet/${encodeURIComponent(tailnet)}/acl`;
    this.#secrets = secretsOf(credentials);
  }

  async read(signal: AbortSignal): Promise<Held> {
    const accept = { method: "GET", headers: { Accept: "application/hujson" } } as const;
    const reply = await this.#ask(this.#path, { ...accept, maxBytes: maxPolicyBytes }, signal);
    this.#expectGood(reply, "policy");
    return { text: decodePolicy(reply.body, this.name), version: this.#readTag(reply.headers) };
  }

  async validate(text: string, signal: AbortSignal): Promise<readonly string[]> {
    const reply = await this.#ask(`${this.#path}/validate`, hujson(text), signal);
    if (isRefusal(reply.status)) throw this.#refusal(reply);
    this.#expectGood(reply, "verdict");
    const answer = parseAnswer(reply.body);
    if (answer === undefined) throw this.#unusable("The verdict on the policy is none.");
    // A fault is an answer as well: 200, and a message. Warnings have one, too.
    const { message, errors, warnings } = answer;
    if (errors.length > 0 || (message !== "" && warnings.length === 0)) throw this.#refusal(reply);
    return warnings.map(({ path, message: words }) => this.#clean(`${path}: ${words}`));
  }

  async write(text: string, version: string, signal: AbortSignal): Promise<WriteOutcome> {
    const request = hujson(text, { "If-Match": version });
    let reply: HttpReply;
    try {
      reply = await this.#ask(this.#path, request, signal);
    } catch (error) {
      // Before the request there are only the token's errors, and those are no connection's.
      if (error instanceof KitError && error.code === "tailnet-unreachable" && this.#token !== undefined) {
        return { kind: "unknown", error };
      }
      throw error;
    }
    if (reply.status === 412) return { kind: "changed" };
    if (isRefusal(reply.status)) throw this.#refusal(reply);
    if (reply.status >= 200 && reply.status < 300) return { kind: "written" };
    const error = this.#failureOf(reply, "write");
    if (reply.status >= 500) return { kind: "unknown", error };
    throw error;
  }

  /** Sends a request with the token, and again if the API wants to be left alone for a little. */
  async #ask(path: string, request: Request, signal: AbortSignal): Promise<HttpReply> {
    const { wait = pause, onWait } = this.#options;
    const token = await this.#accessToken(signal);
    const headers = { ...request.headers, Authorization: `Bearer ${token}` };
    let waited = 0;
    for (;;) {
      const reply = await this.#send(path, { ...request, headers }, signal);
      const ms = reply.status === 429 ? waitOf(reply.headers) : 0;
      if (ms === 0 || waited + ms > maxWaitMs) return reply;
      onWait?.(ms);
      await wait(ms, signal);
      waited += ms;
    }
  }

  async #accessToken(signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined) return this.#token;
    const { credentials } = this.#options;
    if (credentials.kind === "key") return (this.#token = credentials.key);
    try {
      const send = (path: string, request: Request): Promise<HttpReply> => this.#send(path, request, signal);
      const { value } = await requestAccessToken(send, await this.#grant(credentials, signal), signal);
      this.#secrets.push(value);
      return (this.#token = value);
    } catch (error) {
      if (!(error instanceof TailscaleApiError)) throw error;
      throw this.#describe(error.status, error.message, error.retryAfterMs);
    }
  }

  async #grant(
    credentials: Exclude<Credentials, { readonly kind: "key" }>,
    signal: AbortSignal,
  ): Promise<Grant> {
    const { clientId } = credentials;
    if (credentials.kind === "client") {
      return { clientId, clientSecret: credentials.clientSecret, scope: this.#options.scope };
    }
    if (credentials.kind === "token") return { clientId, idToken: credentials.idToken };
    const idToken = await this.#fetchIdToken(credentials.source, signal);
    this.#secrets.push(idToken);
    return { clientId, idToken };
  }

  /** As GitHub documents it: a GET with the job's own token gives `{"value": "<JWT>"}`. */
  async #fetchIdToken({ url, requestToken, audience }: IdTokenSource, signal: AbortSignal): Promise<string> {
    const asked = new URL(url);
    asked.searchParams.set("audience", audience);
    const headers = { Authorization: `Bearer ${requestToken}`, Accept: "application/json" };
    const reply = await this.#send(asked.href, { method: "GET", headers, maxBytes: maxAnswerBytes }, signal);
    const value = reply.status === 200 ? parseObject(reply.body)?.["value"] : undefined;
    if (typeof value === "string" && /^[!-~]+$/.test(value)) return value;
    throw new KitError("tailnet-credentials", {
      message: `GitHub Actions gives this job no ID token: it answers ${reply.status}.`,
      fix: "Give the job the permission id-token: write.",
    });
  }

  /** @throws KitError `tailnet-unreachable` without an answer, or the signal's reason */
  async #send(path: string, request: Request, signal: AbortSignal): Promise<HttpReply> {
    const { baseUrl, timeoutMs } = this.#options;
    const url = new URL(path, baseUrl);
    try {
      return await withDeadline(timeoutMs, signal, (limit) =>
        sendRequest({ ...request, url, agent: this.#agentFor(url), signal: limit }),
      );
    } catch (error) {
      signal.throwIfAborted();
      const message = `There is no answer to ${request.method} ${url.pathname}: ${this.#clean(describeFailure(error))}.`;
      throw new KitError("tailnet-unreachable", { where: url.origin, message });
    }
  }

  #expectGood(reply: HttpReply, what: string): void {
    if (reply.status !== 200) throw this.#failureOf(reply, what);
    if (!reply.complete) throw this.#unusable(`The ${what} is cut off or too long.`);
  }

  #unusable(message: string): KitError {
    return new KitError("tailnet-unreachable", { where: this.#options.baseUrl.origin, message });
  }

  /** The tag of a policy, as it came. Without one nothing could be written safely, and `*` would overwrite whatever is there. */
  #readTag({ etag }: IncomingHttpHeaders): string {
    if (etag !== undefined && /^(?:W\/)?"[^"]+"$|^[!#-)+-~]+$/.test(etag)) return etag;
    throw this.#unusable("The policy came without an ETag, so that nothing could be written without risk.");
  }

  #failureOf({ status, headers }: HttpReply, what: string): KitError {
    const message = `asked for the ${what}, the API answers ${status}`;
    return this.#describe(status, message, status === 429 ? waitOf(headers) : 0);
  }

  #describe(status: number, words: string, waitMs: number): KitError {
    const { baseUrl, tailnet, scope } = this.#options;
    const where = baseUrl.origin;
    const message = `${this.#clean(words)}.`.replace(/^./, (first) => first.toUpperCase());
    if (status === 429) {
      const seconds = Math.ceil(waitMs / 1_000);
      return new KitError("tailnet-unreachable", { where, message, fix: `Try again in ${seconds} s.` });
    }
    if (status === 404) {
      const fix = `Check TS_TAILNET, which is ${JSON.stringify(tailnet)}, and --api.`;
      return new KitError("tailnet-denied", { where, message, fix });
    }
    if (status === 400 || status === 401) {
      const fix =
        "The credentials are wrong, have ended or were revoked: make new ones in the admin console.";
      return new KitError("tailnet-denied", { where, message, fix });
    }
    if (status === 403) {
      const fix = `The credentials lack a right: they need the scope ${scope}.`;
      return new KitError("tailnet-denied", { where, message, fix });
    }
    return new KitError("tailnet-unreachable", { where, message });
  }

  /** What the policy service says against a policy, in its own words. */
  #refusal({ status, body }: HttpReply): KitError {
    const { message = "", errors = [] } = parseAnswer(body) ?? {};
    const fix = findWayAround([message, ...errors.map((error) => error.message)].join("\n"));
    return new KitError("policy-refused", {
      where: this.name,
      ...(fix === undefined ? {} : { fix }),
      message: this.#clean(message === "" ? `The policy service answers ${status}.` : message),
      problems: errors.map(({ path, message: words }) => ({
        path: this.#clean(path),
        message: this.#clean(words),
      })),
    });
  }

  /** A server may repeat what it was sent, and say anything to a terminal. */
  #clean(words: string): string {
    const open = this.#secrets.reduce((text, secret) => text.replaceAll(secret, "[secret]"), words);
    return open
      .replaceAll(/[\p{C}\p{Z}]+/gu, " ")
      .trim()
      .slice(0, 1_000);
  }
}

function hujson(text: string, headers: Readonly<Record<string, string>> = {}): Request {
  const type = { "Content-Type": "application/hujson", Accept: "application/hujson" };
  return { method: "POST", headers: { ...type, ...headers }, body: text, maxBytes: maxAnswerBytes };
}

/**
 * What to do without a member of the derpMap that the service turns out not to take: that it takes these is documented nowhere.
 *
 * @param words of the service
 * @returns undefined if they name none
 */
function findWayAround(words: string): string | undefined {
  if (/HomeParams|RegionScore/i.test(words)) {
    return "The service does not take scores: take `derpkit:drainBy: score` out of the stack, so that a region drains by NoMeasureNoHome.";
  }
  if (/NoMeasureNoHome/i.test(words)) {
    return "The service does not take NoMeasureNoHome: have regions drain by `derpkit:drainBy: score`, and leave no region a canary: make it serve, or retire it.";
  }
  return undefined;
}

/** 400 and 422 are about the policy that was sent. */
function isRefusal(status: number): boolean {
  return status === 400 || status === 422;
}

interface Answer {
  /** Empty if there is none. */
  readonly message: string;
  /** Of the policy's own tests, each by who was to have access. */
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** @returns undefined for a body that is no JSON object; one that is empty says that all is well */
function parseAnswer(body: Buffer): Answer | undefined {
  const answer = body.toString("utf8").trim() === "" ? {} : parseObject(body);
  if (answer === undefined) return undefined;
  const { message, data } = answer;
  const entries: unknown[] = Array.isArray(data) ? data : [];
  return {
    message: typeof message === "string" ? message : "",
    errors: entries.flatMap((entry) => listWords(entry, "errors")),
    warnings: entries.flatMap((entry) => listWords(entry, "warnings")),
  };
}

function listWords(entry: unknown, kind: "errors" | "warnings"): Problem[] {
  if (typeof entry !== "object" || entry === null) return [];
  const { user, [kind]: words } = entry as Readonly<Record<string, unknown>>;
  const path = typeof user === "string" && user !== "" ? user : "tests";
  const list: unknown[] = Array.isArray(words) ? words : [];
  return list.flatMap((message) => (typeof message === "string" ? [{ path, message }] : []));
}

function parseObject(json: Buffer): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(json.toString("utf8"));
    return typeof document === "object" && document !== null ? { ...document } : undefined;
  } catch {
    return undefined;
  }
}

/** How long a 429 asks to be left alone. */
function waitOf(headers: IncomingHttpHeaders): number {
  const seconds = headers["retry-after"] ?? "";
  return /^\d{1,9}$/.test(seconds) ? Math.max(Number(seconds), 1) * 1_000 : usualWaitMs;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}
