/** The pages under /debug/, as derper answers them but for what is Go's alone. Pure: a request in, an answer out. */
import { normaliseIp } from "../ip-address.ts";
import type { DebugAccess, DebugRequest } from "./debug-access.ts";
import {
  browserHeaders,
  escapeHtml,
  type PendingAnswer,
  type PlainAnswer,
  plainError,
  redirect,
} from "./http-answers.ts";

export interface DebugContext {
  readonly access: DebugAccess;
  /** The option `hostname`. */
  readonly hostname: string;
  /** The machine's own name. */
  readonly machine: string;
  readonly version: string;
  /** The option `dev`: a refusal says what would permit it. */
  readonly dev: boolean;
  /** True if the relay has a mesh key. */
  readonly meshKey: boolean;
  readonly uptimeSeconds: () => number;
  /** The text of `/debug/vars`, JSON, and of `/debug/varz`, Prometheus. */
  readonly vars: () => string;
  readonly varz: () => string;
  /** Looks for what does not fit together; finds nothing if all does, and never fails. */
  readonly check: () => Promise<readonly string[]>;
  /** The JSON of `/debug/certificates`, which derper does not have. */
  readonly certificates: () => string;
}

interface Page {
  /** In the index, which is derper's: a page that derper does not have is not in it. */
  readonly description: string | undefined;
  readonly answer: (context: DebugContext) => PendingAnswer;
}

/** The pages may have styles in their text; the index may not. */
const pageHeaders: Readonly<Record<string, string>> = {
  ...browserHeaders,
  "Content-Security-Policy": `${browserHeaders["Content-Security-Policy"]}; style-src 'self' 'unsafe-inline'`,
};

/** By path, in the order of the index. derper's others are about Go (pprof, gc, mutex) or about single clients (traffic). */
const pages: ReadonlyMap<string, Page> = new Map<string, Page>([
  [
    "/debug/vars",
    {
      description: "Metrics (Go)",
      answer: ({ vars }) => page(vars(), "application/json; charset=utf-8"),
    },
  ],
  [
    "/debug/varz",
    {
      description: "Metrics (Prometheus)",
      answer: ({ varz }) => page(varz(), "text/plain;version=0.0.4;charset=utf-8"),
    },
  ],
  [
    "/debug/check",
    { description: "Consistency check", answer: async ({ check }) => answerCheck(await check()) },
  ],
  [
    "/debug/certificates",
    {
      description: undefined,
      answer: ({ certificates }) => page(certificates(), "application/json; charset=utf-8"),
    },
  ],
]);

/**
 * Answers a request for `/debug` or what is below it.
 *
 * @returns undefined for any other path
 */
export function debugAnswer(request: DebugRequest, context: DebugContext): PendingAnswer | undefined {
  const { path, query } = splitTarget(request.target);
  if (path === "/debug") return redirect(307, `/debug/${query}`, request.method); // Go's mux adds the slash.
  if (!path.startsWith("/debug/")) return undefined;
  const known = pages.get(path);
  if (!context.access(request)) {
    const hint = context.dev && known !== undefined ? permission(request) : "";
    return plainError(403, `debug access denied${hint}`);
  }
  if (path === "/debug/") return index(context);
  return known?.answer(context) ?? plainError(404, "404 page not found");
}

function permission({ remoteAddress = "" }: DebugRequest): string {
  return `; to permit access, set TS_ALLOW_DEBUG_IP=${normaliseIp(remoteAddress) ?? ""}`;
}

/** The path, and what follows it with its question mark. */
function splitTarget(target: string): { path: string; query: string } {
  const [path = ""] = target.split("?", 1);
  return { path, query: target.slice(path.length) };
}

/** Byte for byte as derper writes it, which closes no element. */
function index({ uptimeSeconds, version, machine, hostname, meshKey }: DebugContext): PlainAnswer {
  const facts = {
    Uptime: renderGoDuration(uptimeSeconds()),
    Version: version,
    Machine: machine,
    "TLS hostname": hostname,
    "Mesh key": `${meshKey}`,
  };
  const body = [
    "<html><body><h1>derper debug</h1><ul>",
    ...Object.entries(facts).map(([name, value]) => `<li><b>${name}:</b> ${escapeHtml(value)}</li>`),
    ...[...pages].map(([path, { description }]) =>
      description === undefined ? "" : `<li><a href="${path}">${path}</a> (${description})</li>`,
    ),
  ].join("");
  return { status: 200, headers: { ...browserHeaders, "Content-Type": "text/html; charset=utf-8" }, body };
}

function answerCheck(problems: readonly string[]): PlainAnswer {
  const type = "text/plain; charset=utf-8";
  if (problems.length === 0) return page("derp.Server ConsistencyCheck okay", type);
  return { ...page(`${problems.join(", ")}\n`, type), status: 500 };
}

function page(body: string, type: string): PlainAnswer {
  return { status: 200, headers: { ...pageHeaders, "Content-Type": type }, body };
}

/** A duration in whole seconds as Go writes it: `2s`, `1m30s`, `26h0m5s`. */
function renderGoDuration(seconds: number): string {
  const total = Math.round(seconds);
  const hours = Math.floor(total / 3_600);
  const minutes = Math.floor(total / 60) % 60;
  const shownHours = hours === 0 ? "" : `${hours}h`;
  const shownMinutes = hours === 0 && minutes === 0 ? "" : `${minutes}m`;
  return `${shownHours}${shownMinutes}${total % 60}s`;
}
