/** What /derpkit has for who shows the status token (RFC 6750). Pure: a request in, an answer out. */
import { type PlainAnswer, plainError } from "./http-answers.ts";
import type { Request } from "./http-request.ts";

export interface StatusContext {
  /** Tells whether this is the token, in a time that tells nothing of it. */
  readonly isToken: (given: string) => boolean;
  /** The JSON. */
  readonly render: () => string;
  /** Begins to let clients go that are at home here. The JSON; undefined if the region is not on its way out. */
  readonly letGo: () => string | undefined;
}

const statusPath = "/derpkit/status";
const letGoPath = "/derpkit/let-go";
/** A change of a moment ago has to show, and no cache on the way may keep what needs a token. */
const uncached = { "Cache-Control": "no-store" };

/**
 * Answers a request for one of the two.
 *
 * @returns undefined for any other path
 */
export function statusAnswer(
  { method, target, headers }: Pick<Request, "method" | "target" | "headers">,
  { isToken, render, letGo }: StatusContext,
): PlainAnswer | undefined {
  const [path = ""] = target.split("?", 1);
  if (path !== statusPath && path !== letGoPath) return undefined;
  const given = bearerToken(headers["authorization"]);
  if (given === undefined || !isToken(given))
    return refuse(401, "this page needs its token", { "WWW-Authenticate": "Bearer" });
  if (path === letGoPath) {
    if (method !== "POST") return refuse(405, "use POST", { Allow: "POST" });
    const leaving = letGo();
    return leaving === undefined ? refuse(409, "the region is not draining") : json(leaving);
  }
  if (method !== "GET" && method !== "HEAD") return refuse(405, "use GET", { Allow: "GET, HEAD" });
  return json(render());
}

function json(body: string): PlainAnswer {
  return { status: 200, headers: { "Content-Type": "application/json", ...uncached }, body };
}

/** The scheme's name may be in any case (RFC 9110, 11.1). */
function bearerToken(authorization = ""): string | undefined {
  return /^bearer +([!-~]+) *$/i.exec(authorization)?.[1];
}

function refuse(status: number, message: string, headers: PlainAnswer["headers"] = {}): PlainAnswer {
  const answer = plainError(status, message);
  return { ...answer, headers: { ...answer.headers, ...uncached, ...headers } };
}
