/** What the relay's HTTPS port answers to plain requests, as derper does. Pure: a request in, an answer out. */
import { queryValue } from "./query.ts";

export interface PlainRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** Value of the header X-Tailscale-Challenge. */
  readonly challenge: string | undefined;
  /** The client's address; undefined once the socket is closed. */
  readonly remoteAddress: string | undefined;
  /** Who asks may see the debug pages. */
  readonly mayDebug: boolean;
}

export interface PlainAnswer {
  readonly status: number;
  /** What stands behind the status, if it is not the usual. */
  readonly reason?: string;
  /** A body without Content-Type is sent as plain text, as Go takes one for that by looking at it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Sent as it is, with neither Date nor Content-Length: Go refuses what is no request in this way. */
  readonly bare?: boolean;
}

/** An answer, or one that takes time to find. It is always found. */
export type PendingAnswer = PlainAnswer | Promise<PlainAnswer>;

/** What `/healthz` says. `ok` decides between 200 and 503. */
export interface Health {
  readonly ok: boolean;
  readonly version: string;
  /** SHA-256 of the running bundle, or null when the sources run as they are. */
  readonly bundle: string | null;
  readonly state: "serving" | "unhealthy" | "stopping";
  /** Of an unhealthy relay, the probes of itself that fail. */
  readonly failing?: readonly string[];
  /** What somebody has to see to before it becomes a fault: a certificate that is not renewed. */
  readonly warnings?: readonly string[];
  /** How the node's updater does, if the relay is to say. It is no part of the relay, and `ok` does not go by it. */
  readonly updater?: {
    readonly state: string;
    /** The highest that it has accepted. */
    readonly sequence: number | null;
    /** Of the error for which it does not take what is delivered. */
    readonly code: string | null;
  };
}

export interface AnswerContext {
  readonly hostName: string;
  /** The option `home`: empty, `blank`, or a URL. */
  readonly home: string;
  /** The option `derp`: whether this relay serves DERP at all. */
  readonly derp: boolean;
  health(): Health;
  /**
   * The JSON that bootstrap DNS has for a question.
   *
   * @param question the name that is asked for; empty for none
   * @param asker the address that asks; empty if it is not known
   */
  bootstrapDns(question: string, asker: string): string;
}

/** The headers that derper sends with everything a person's browser might show. */
export const browserHeaders: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; block-all-mixed-content; object-src 'none'",
  "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** Answers a request that is not a DERP upgrade. */
export function answer(request: PlainRequest, context: AnswerContext): PlainAnswer {
  const [path = ""] = request.target.split("?", 1);
  switch (path) {
    case "/derp":
      return context.derp
        ? plainError(426, "DERP requires connection upgrade")
        : plainError(404, "derp server disabled");
    case "/derp/probe":
    case "/derp/latency-check":
      return probe(request.method);
    case "/generate_204":
      return generate204(request.challenge);
    case "/robots.txt":
      return { status: 200, headers: browserHeaders, body: "User-agent: *\nDisallow: /\n" };
    case "/bootstrap-dns":
      return bootstrapDns(request, context);
    case "/healthz":
      return healthz(context.health());
    default:
      return home(context, request.mayDebug);
  }
}

/**
 * Answers on the plain HTTP port beside HTTPS, but for the debug pages: the captive-portal check; everything else is
 * sent to HTTPS, whatever host and port the client names, and who may debug from `/` to the debug pages.
 *
 * @param uri path and query as the client wrote them
 */
export function answerPlainPort(request: PlainRequest, host: string, uri: string): PlainAnswer {
  const { method, target, challenge, mayDebug } = request;
  if (target.split("?", 1)[0] === "/generate_204") return generate204(challenge);
  if (method === "CONNECT") return plainError(404, "404 page not found");
  if (method !== "GET" && method !== "HEAD") return plainError(400, "Use HTTPS");
  return redirect(302, `https://${host}${mayDebug && uri === "/" ? "/debug/" : uri}`, method);
}

/** A redirect as Go's `http.Redirect` writes it: with a link for those who asked with GET. */
export function redirect(status: 302 | 307, location: string, method: string): PlainAnswer {
  const reason = status === 302 ? "Found" : "Temporary Redirect";
  const isPage = method === "GET" || method === "HEAD";
  return {
    status,
    headers: { ...(isPage ? { "Content-Type": "text/html; charset=utf-8" } : {}), Location: location },
    body: method === "GET" ? `<a href="${escapeHtml(location)}">${reason}</a>.\n\n` : "",
  };
}

/** An error as Go's `http.Error` writes it. */
export function plainError(status: number, message: string): PlainAnswer {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  return { status, headers, body: `${message}\n` };
}

/** Escapes what stands in HTML, also in an attribute, as Go's `html.EscapeString` does. */
export function escapeHtml(value: string): string {
  return value
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&#34;")
    .replaceAll("'", "&#39;");
}

function probe(method: string): PlainAnswer {
  if (method !== "GET" && method !== "HEAD") return plainError(405, "bogus probe method");
  return { status: 200, headers: { "Access-Control-Allow-Origin": "*" }, body: "" };
}

/** The captive-portal check. A client that gets its challenge back knows that nobody stands between. */
function generate204(challenge: string | undefined): PlainAnswer {
  const valid = challenge !== undefined && /^[A-Za-z0-9.:_-]{1,64}$/.test(challenge);
  return {
    status: 204,
    headers: {
      "Cache-Control": "no-cache, no-store, must-revalidate, no-transform, max-age=0",
      ...(valid ? { "X-Tailscale-Response": `response ${challenge}` } : {}),
    },
    body: "",
  };
}

/** A client asks one relay after the other, each once: nothing is gained from an open connection. */
function bootstrapDns({ target, remoteAddress = "" }: PlainRequest, context: AnswerContext): PlainAnswer {
  return {
    status: 200,
    headers: { ...browserHeaders, "Content-Type": "application/json", Connection: "close" },
    body: context.bootstrapDns(queryValue(target, "q") ?? "", remoteAddress),
  };
}

function healthz(health: Health): PlainAnswer {
  return {
    status: health.ok ? 200 : 503,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
    body: `${JSON.stringify(health)}\n`,
  };
}

/** Tailscale's own relays, whose home page says where to report abuse. */
const tailscaleRelay = /^derp[^.]*\.tailscale\.com\.?$/;

function home({ hostName, home: option, derp }: AnswerContext, mayDebug: boolean): PlainAnswer {
  const html = { ...browserHeaders, "Content-Type": "text/html; charset=utf-8" };
  if (option === "blank") return { status: 200, headers: html, body: "" };
  if (option !== "") return { status: 302, headers: { ...html, Location: option }, body: "" };
  return { status: 200, headers: html, body: renderHomePage(derp, mayDebug, tailscaleRelay.test(hostName)) };
}

const abuseContact =
  '<p>If you suspect abuse, please write to <a href="mailto:security@tailscale.com">security@tailscale.com</a>.</p>\n';

const renderHomePage = (derp: boolean, mayDebug: boolean, tailscales: boolean): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>DERP</title></head>
<body>
<h1>DERP</h1>
<p>This is a DERP relay. Tailscale clients that find no direct path to each other meet here; what they send
is encrypted between them, and the relay cannot read it.</p>
${tailscales ? abuseContact : ""}${derp ? "" : "<p>Status: <b>disabled</b></p>\n"}${mayDebug ? '<p><a href="/debug/">Debug pages</a></p>\n' : ""}<ul>
<li><a href="https://tailscale.com/kb/1232/derp-servers">About DERP servers</a></li>
<li><a href="https://pkg.go.dev/tailscale.com/derp">The DERP protocol</a></li>
<li><a href="https://tailscale.com/kb/1118/custom-derp-servers">Running your own</a></li>
</ul>
</body>
</html>
`;
