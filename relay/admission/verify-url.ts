/** Asks a web service, as derper's `-verify-client-url` does. Headscale offers one at /verify. */
import { renderNodeKey } from "../crypto/keys.ts";
import { bool, buildStructReader } from "../protocol/go-json.ts";
import { classifyFailure, failureOfStatus } from "./failure.ts";
import { describeFailure } from "../outbound/failure.ts";
import {
  type AgentFor,
  buildAgents,
  type HttpOptions,
  type HttpReply,
  type HttpRequest,
  sendRequest,
  withDeadline,
} from "../outbound/http.ts";
import type { AdmissionMode, Applicant } from "./mode.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

/** For the whole query, redirects and body included (derper). */
const timeLimitMs = 5_000;
/** As much of the answer is read (derper). */
const maxBytes = 4_096;
/** Go's client gives up at the next one. */
const maxRedirects = 10;

const readAnswer = buildStructReader<{ readonly allow: boolean }>({ allow: bool }, { firstOnly: true });

type Question = Pick<HttpRequest, "url" | "method" | "headers" | "body">;

export interface VerifyUrlOptions extends HttpOptions {
  readonly url: URL;
  /** Lets clients in while requests cannot be completed. It never covers an answer, however bad. */
  readonly failOpen: boolean;
}

export class VerifyUrl implements AdmissionMode {
  readonly name = "verify-url";
  readonly #url: URL;
  readonly #failOpen: boolean;
  readonly #agentFor: AgentFor;

  constructor({ url, failOpen, ...http }: VerifyUrlOptions) {
    this.#url = url;
    this.#failOpen = failOpen;
    this.#agentFor = buildAgents(http);
  }

  async check(applicant: Applicant, signal: AbortSignal): Promise<Verdict> {
    const body = renderQuestion(applicant);
    const headers = { "Content-Type": "application/json" };
    try {
      return await withDeadline(timeLimitMs, signal, async (limit) =>
        judge(await this.#send({ url: this.#url, method: "POST", headers, body }, limit)),
      );
    } catch (error) {
      const verdict = unknown(describeFailure(error), classifyFailure(error));
      const failOpen = this.#failOpen && !signal.aborted; // A relay that stops lets nobody in.
      return failOpen ? { ...verdict, failOpen } : verdict;
    }
  }

  /** @throws if there is no final answer, after too many redirects for example */
  async #send(first: Question, signal: AbortSignal): Promise<HttpReply> {
    let question = first;
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      const agent = this.#agentFor(question.url);
      const reply = await sendRequest({ ...question, agent, maxBytes, signal });
      const next = redirect(question, reply);
      if (next === undefined) return reply;
      question = next;
    }
    throw new Error(`more than ${maxRedirects} redirects`);
  }
}

/** The request's body (Tailscale `tailcfg.DERPAdmitClientRequest`). */
export function renderQuestion({ key, source }: Applicant): string {
  return JSON.stringify({ NodePublic: renderNodeKey(key), Source: source });
}

/**
 * Reads the answer (Tailscale `tailcfg.DERPAdmitClientResponse`) as derper does.
 *
 * @returns undefined if it says neither
 */
export function parseAnswer(body: Buffer): boolean | undefined {
  return readAnswer(body)?.allow;
}

/** Only a clear no denies. Anything else that is no yes may be a proxy's error page or a service that starts. */
function judge({ status, body }: HttpReply): Verdict {
  if (status !== 200) return unknown(`the verify URL answers ${status}`, failureOfStatus(status));
  const answer = parseAnswer(body);
  if (answer === undefined) return unknown("the verify URL answers with neither yes nor no", "answer");
  return answer ? allow : deny("the verify URL does not allow the key");
}

/**
 * What to ask next, by the rules of Go's client: 307 and 308 repeat the request, the others make it a GET; without a
 * Location the answer is final.
 *
 * @throws if the Location is no http or https URL
 */
function redirect({ url, ...rest }: Question, { status, headers }: HttpReply): Question | undefined {
  const { location } = headers;
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  const next = URL.parse(location, url.href);
  if (next === null || !/^https?:$/.test(next.protocol)) throw new Error("redirected to no web address");
  return status >= 307 ? { ...rest, url: next } : { url: next, method: "GET", headers: {} };
}
