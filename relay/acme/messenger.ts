/** Requests to a CA: signed, bounded, with a nonce each, and tried again where that is safe. */
import type { KeyObject } from "node:crypto";
import * as v from "valibot";
import { describeFailure } from "../outbound/failure.ts";
import { type AgentFor, type HttpReply, sendRequest, withDeadline } from "../outbound/http.ts";
import type { AcmeFailure, AcmeFailureKind } from "./failure.ts";
import { type JwsHeader, signJws } from "./jws.ts";
import { cleanText, failureOfProblem, parseProblem, renderFailure } from "./problem.ts";
import { pauseBefore, type Refusal } from "./retry.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Authority, Task } from "./task.ts";

export interface MessengerOptions {
  readonly directory: URL;
  /** EC P-256, private. */
  readonly accountKey: KeyObject;
  readonly agents: AgentFor;
  readonly userAgent: string;
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

interface Question {
  readonly url: string;
  readonly task: Task;
  /** A second one does no harm if the first arrived after all. */
  readonly repeatable: boolean;
  readonly method?: "GET" | "HEAD";
  /** Who signs; an unsigned request if it is left out. */
  readonly by?: JwsHeader["by"];
  readonly payload?: object | undefined;
  readonly maxBytes?: number;
  readonly accept?: string;
  readonly expected?: readonly number[];
}

const maxJsonBytes = 65_536;
/** For one request, its body included. */
const requestLimitMs = 30_000;
/**
 * So many refused nonces in a row fail a request. A CA that refuses four of ten by chance does so once in a hundred
 * million requests.
 */
const maxBadNonces = 20;
const maxKeptNonces = 10;

/** What Node's TLS calls a certificate that it does not trust; Bun calls it the same. */
const distrust =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_[A-Z_]+|CERT_[A-Z_]+|ERR_TLS_CERT_ALTNAME_INVALID)$/;
const distrustAdvice =
  "Give the root certificate of a CA of your own to --acme-ca; with a public CA, find out who answers in its place.";

export class Messenger {
  readonly #options: MessengerOptions;
  readonly #nonces: string[] = [];
  /** Of newNonce, and who the CA is: known once the directory is. */
  newNonce = "";
  authority: Authority;

  constructor(options: MessengerOptions) {
    this.#options = options;
    this.authority = { host: options.directory.host };
  }

  /**
   * @param expected statuses that are an answer too, besides those of success
   * @throws AcmeFailure, or the signal's reason when that is aborted; so do all that send
   */
  async get(
    url: string,
    task: Task,
    signal: AbortSignal,
    expected: readonly number[] = [],
  ): Promise<HttpReply> {
    return this.#send({ url, task, repeatable: true, method: "GET", expected }, signal);
  }

  /** Sends a signed request. Without a payload it reads only (POST-as-GET). */
  async post(question: Omit<Question, "method">, signal: AbortSignal): Promise<HttpReply> {
    return this.#send(question, signal);
  }

  /** Reads a JSON body. @throws AcmeFailure of kind `answer` */
  read<TSchema extends v.GenericSchema>(
    reply: HttpReply,
    schema: TSchema,
    task: Task,
  ): v.InferOutput<TSchema> {
    const result = v.safeParse(schema, parseJson(reply.body));
    if (result.success) return result.output;
    const [issue] = result.issues;
    const where = v.getDotPath(issue) ?? "the whole";
    throw this.fail(
      "answer",
      `its answer is not what ACME says (${cleanText(`${where}: ${issue.message}`)})`,
      task,
    );
  }

  /** The URL of what a request has made. @throws AcmeFailure of kind `answer` */
  location({ headers }: HttpReply, task: Task): string {
    const url = URL.parse(headers.location ?? "", this.#options.directory.href);
    if (url !== null && headers.location !== undefined) return url.href;
    throw this.fail("answer", "it does not say where that is", task);
  }

  /** Makes a failure. @param said what is known of the cause, without a full stop */
  fail(
    kind: AcmeFailureKind,
    said: string,
    task: Task,
    more: { readonly cause?: unknown; readonly advice?: string | undefined } = {},
  ): AcmeFailure {
    return renderFailure(kind, { ...more, authority: this.authority, task, said, now: this.#options.now() });
  }

  /** Makes a failure of a problem that was part of a good answer. */
  failWith(problem: unknown, task: Task): AcmeFailure {
    const { authority } = this;
    return failureOfProblem(parseProblem(problem), { authority, task, now: this.#options.now() });
  }

  /** Milliseconds that an answer asks to wait. */
  retryAfter({ headers }: HttpReply): number | undefined {
    return parseRetryAfter(headers["retry-after"], this.#options.now());
  }

  async #send(question: Question, signal: AbortSignal): Promise<HttpReply> {
    this.#checkUrl(question);
    let badNonces = 0;
    let retries = 0;
    for (;;) {
      const outcome = await this.#try(question, signal);
      if (!("failure" in outcome)) return outcome;
      const { failure } = outcome;
      if (failure.problemType === "badNonce" && ++badNonces < maxBadNonces) continue;
      const pauseMs = pauseBefore(retries++, outcome, question.repeatable);
      if (pauseMs === undefined) throw failure;
      await this.#options.sleep(pauseMs, signal);
    }
  }

  /** Every URL but the directory's own is named by the CA. Without TLS only that is asked which the operator chose so. */
  #checkUrl({ url, task }: Question): void {
    const { protocol, host } = new URL(url);
    const { directory } = this.#options;
    if (protocol === "https:" || `${protocol}//${host}` === directory.origin) return;
    throw this.fail("answer", `it names the URL ${cleanText(url)}, which is not https`, task);
  }

  async #try(question: Question, signal: AbortSignal): Promise<HttpReply | Refusal> {
    const { by, task, maxBytes = maxJsonBytes, expected = [] } = question;
    const nonce = by === undefined ? undefined : await this.#takeNonce(task, signal);
    let reply: HttpReply;
    try {
      reply = await withDeadline(requestLimitMs, signal, async (limit) =>
        this.#exchange(question, nonce, limit),
      );
    } catch (error) {
      signal.throwIfAborted();
      return this.#unreachable(error, task);
    }
    if (nonce !== undefined) this.#keepNonce(reply);
    const isGood = reply.status >= 200 && reply.status < 300;
    if (!isGood && !expected.includes(reply.status)) return this.#refusal(reply, task);
    if (reply.complete) return reply;
    if (reply.body.length < maxBytes) return this.#unreachable(new Error("its answer is cut off"), task);
    throw this.fail("answer", `its answer is longer than ${maxBytes} bytes`, task);
  }

  async #exchange(question: Question, nonce: string | undefined, signal: AbortSignal): Promise<HttpReply> {
    const { by, payload, method = "GET", maxBytes = maxJsonBytes, accept = "application/json" } = question;
    const { accountKey, agents, userAgent } = this.#options;
    const url = new URL(question.url);
    const shared = { url, agent: agents(url), maxBytes, signal };
    const headers = { "User-Agent": userAgent, Accept: accept };
    if (by === undefined || nonce === undefined) return sendRequest({ ...shared, method, headers });
    return sendRequest({
      ...shared,
      method: "POST",
      headers: { ...headers, "Content-Type": "application/jose+json" },
      body: JSON.stringify(signJws(accountKey, { by, nonce, url: question.url }, payload)),
    });
  }

  async #takeNonce(task: Task, signal: AbortSignal): Promise<string> {
    const kept = this.#nonces.shift();
    if (kept !== undefined) return kept;
    const reply = await this.#send({ url: this.newNonce, task, repeatable: true, method: "HEAD" }, signal);
    const fresh = readNonce(reply); // Not by way of those kept: another order might take it meanwhile.
    if (fresh === undefined) throw this.fail("answer", "it gives no nonce", task);
    return fresh;
  }

  #keepNonce(reply: HttpReply): void {
    const nonce = readNonce(reply);
    if (nonce !== undefined && this.#nonces.length < maxKeptNonces) this.#nonces.push(nonce);
  }

  #unreachable(cause: unknown, task: Task): Refusal {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const lasting = distrust.test(code);
    const said = lasting ? `its TLS certificate is not trusted (${code})` : cleanText(describeFailure(cause));
    const advice = lasting ? distrustAdvice : undefined;
    return { status: undefined, lasting, failure: this.fail("unreachable", said, task, { cause, advice }) };
  }

  #refusal(reply: HttpReply, task: Task): Refusal {
    const { status, headers } = reply;
    if (status < 400) {
      const to = headers.location === undefined ? "" : ` to ${cleanText(headers.location)}`;
      return { status, failure: this.fail("answer", `it answers ${status}${to}, which is not ACME`, task) };
    }
    const problem = parseProblem(parseJson(reply.body));
    if (problem?.type === "badNonce") {
      this.#nonces.length = 0; // They are no younger than the one just refused.
      this.#keepNonce(reply);
    }
    const { authority } = this;
    const [retryAfterMs, now] = [this.retryAfter(reply), this.#options.now()];
    return { status, failure: failureOfProblem(problem, { authority, task, status, retryAfterMs, now }) };
  }
}

/** Base64url (RFC 8555, 6.5.1); anything else is none. */
function readNonce({ headers }: HttpReply): string | undefined {
  const nonce = headers["replay-nonce"];
  return typeof nonce === "string" && /^[A-Za-z0-9_-]{1,512}$/.test(nonce) ? nonce : undefined;
}

/** @returns undefined for what is no JSON */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}
