/** Which answer a request gets, on either port. */
import type { IncomingMessage } from "node:http";
import type { DebugRequest } from "./debug-access.ts";
import { debugAnswer, type DebugContext } from "./debug-pages.ts";
import {
  answer,
  type AnswerContext,
  answerPlainPort,
  type PendingAnswer,
  type PlainRequest,
  plainError,
} from "./http-answers.ts";
import type { Request } from "./http-request.ts";

export interface RouteContext {
  /** Whether the main port does TLS. */
  readonly secure: boolean;
  readonly answers: AnswerContext;
  readonly debug: DebugContext;
}

/** Answers on the main port. @param message says who asks */
export function answerMain(request: Request, message: IncomingMessage, context: RouteContext): PendingAnswer {
  const { secure, answers, debug } = context;
  // derper's experimental ACE, off there by default, is for TLS alone. Elsewhere no path has this name.
  if (request.method === "CONNECT") {
    return secure ? plainError(403, "CONNECT not enabled") : plainError(404, "404 page not found");
  }
  return (
    debugAnswer(debugRequest(request, message), debug) ??
    answer(plainRequest(request, message, debug), answers)
  );
}

/** Answers on the plain HTTP port beside HTTPS. What begins with `/debug` is answered as on the main port, as in derper. */
export function answerBeside(
  request: Request,
  message: IncomingMessage,
  context: RouteContext,
): PendingAnswer {
  if (request.uri.startsWith("/debug")) return answerMain(request, message, context);
  return answerPlainPort(plainRequest(request, message, context.debug), request.host, request.uri);
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
