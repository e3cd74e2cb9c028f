/** Which answer a request gets, on either port. */
import type { IncomingMessage } from "node:http";
import type { ChallengeAnswers } from "../certificates/source.ts";
import { type DebugRequest, isLoopback } from "./debug-access.ts";
import { debugAnswer, type DebugContext } from "./debug-pages.ts";
import {
  answer,
  type AnswerContext,
  answerPlainPort,
  type PendingAnswer,
  type PlainAnswer,
  type PlainRequest,
  plainError,
} from "./http-answers.ts";
import type { Request } from "./http-request.ts";
import { statusAnswer, type StatusContext } from "./status-page.ts";

export interface RouteContext {
  /** Whether the main port does TLS. */
  readonly secure: boolean;
  /** The option `ace`: CONNECT to some targets is served. */
  readonly ace: boolean;
  /** What certificate authorities are told over plain HTTP; undefined if none asks. */
  readonly challenges: ChallengeAnswers | undefined;
  readonly answers: AnswerContext;
  readonly debug: DebugContext;
  /** Undefined if there is no such page. */
  readonly status: StatusContext | undefined;
}

/** Answers on the main port. @param message says who asks */
export function answerMain(request: Request, message: IncomingMessage, context: RouteContext): PendingAnswer {
  const { answers, debug } = context;
  if (request.method === "CONNECT") return refuseConnect(context);
  return (
    debugAnswer(debugRequest(request, message), debug) ??
    answerStatus(request, message, context) ??
    answer(plainRequest(request, message, debug), answers)
  );
}

/** A token must not travel in clear: without TLS the page is there for who asks on this machine, such as a proxy. */
function answerStatus(
  request: Request,
  { socket }: IncomingMessage,
  { secure, status }: RouteContext,
): PlainAnswer | undefined {
  const isShown = status !== undefined && (secure || isLoopback(socket.remoteAddress));
  return isShown ? statusAnswer(request, status) : undefined;
}

/** ACE is for TLS alone. Without TLS a CONNECT is a request for a path that nothing has. */
function refuseConnect({ secure, ace }: RouteContext): PlainAnswer {
  if (!secure) return plainError(404, "404 page not found");
  return plainError(403, ace ? "Invalid CONNECT target" : "CONNECT not enabled");
}

/** Answers on the plain HTTP port beside HTTPS. What begins with `/debug` is answered as on the main port, as in derper. */
export function answerBeside(
  request: Request,
  message: IncomingMessage,
  context: RouteContext,
): PendingAnswer {
  if (request.uri.startsWith("/debug")) return answerMain(request, message, context);
  const { challenges } = context;
  if (challenges !== undefined && request.target.startsWith(challengePath))
    return answerChallenge(request.target, challenges);
  return answerPlainPort(plainRequest(request, message, context.debug), request.host, request.uri);
}

/** RFC 8555, section 8.3. */
const challengePath = "/.well-known/acme-challenge/";

function answerChallenge(target: string, challenges: ChallengeAnswers): PlainAnswer {
  const [path = ""] = target.split("?", 1);
  const body = challenges.http(path.slice(challengePath.length));
  if (body === undefined) return plainError(404, "no such challenge");
  return { status: 200, headers: { "Content-Type": "text/plain; charset=utf-8" }, body };
}

function plainRequest(request: Request, message: IncomingMessage, { access }: DebugContext): PlainRequest {
  const { method, target, headers } = request;
  const asking = debugRequest(request, message);
  const challenge = headers["x-tailscale-challenge"];
  return { method, target, challenge, remoteAddress: asking.remoteAddress, mayDebug: access(asking) };
}

/** Of several headers with one name all count here: whoever stands behind a proxy cannot hide it behind one of his own. */
function debugRequest({ method, target }: Request, { headers, socket }: IncomingMessage): DebugRequest {
  const { remoteAddress, localAddress } = socket;
  return { method, target, headers, remoteAddress, localAddress };
}
