/**
 * What a request asks for, by the rules of derper's HTTP server and of its mux, which are Go's. Pure: a request's head
 * in; the request, or what it is answered instead, out.
 *
 * The bytes are Node's parser's. What it refuses never comes here; docs/derper.md lists what that makes different.
 */
import { type PlainAnswer, redirect } from "./http-answers.ts";

/** A request's head, as the parser has read it. */
export interface RequestHead {
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  /** Names and values by turns, as sent. */
  readonly rawHeaders: readonly string[];
  /** Of HTTP, for example `1.1`; `0.9` if the request line has none. */
  readonly version: string;
}

export interface Request {
  readonly method: string;
  /**
   * Path and query, also of a target that is a whole URL. The path is clean and its escapes are undone, but for `%2F` and
   * `%3F`: an escaped slash parts nothing.
   */
  readonly target: string;
  /** The same as the client wrote it. */
  readonly uri: string;
  /** The host that is asked for, with its port; empty if the request names none. */
  readonly host: string;
  /** By lower-case name. Of several with one name the first counts, as in Go. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads a request, or says what answers it: a refusal, or a redirect to the same path written cleanly. */
export function parseRequest(head: RequestHead): Request | PlainAnswer {
  const { method, version } = head;
  const headers = firstOfEach(head.rawHeaders);
  const { host, expect = "" } = headers;
  const isPath = method !== "CONNECT" && head.target !== "*";
  const url = parseTarget(isPath ? head.target : "/");
  if (url === undefined || valuesOf(head, "host").length > 1) return refuse(400);
  if (hasUnknownEncoding(head)) return { ...refuse(501), body: "Unsupported transfer encoding" };
  if (version === "0.9") return refuse(400);
  if (!version.startsWith("1.")) return refuse(505, "unsupported protocol version");
  if (host === undefined && version !== "1.0" && method !== "CONNECT") {
    return refuse(400, "missing required Host header");
  }
  if (!validHost.test(host ?? "")) return refuse(400, "malformed Host header");
  if (expect !== "" && !hasToken(expect, "100-continue")) return answerEmpty(417, last);
  if (head.target === "*") {
    return method === "OPTIONS" ? answerEmpty(200, { "Content-Length": "0" }) : answerEmpty(400, last);
  }
  const path = cleanPath(url.path);
  if (path !== url.path) return redirect(307, escapePath(path) + url.query, method);
  const target = unescape(path.replaceAll(/%(?=2f|3f)/gi, "%25")) + url.query;
  return { method, target, uri: url.uri, host: url.host || (host ?? ""), headers };
}

/**
 * Tells whether the connection goes on after the answer, unless the answer itself ends it. It does not after a request
 * whose body waits to be asked for: nobody reads it.
 */
export function goesOn(head: RequestHead): boolean {
  const says = (name: string, token: string): boolean =>
    valuesOf(head, name).some((value) => hasToken(value, token));
  if (says("connection", "close") || says("expect", "100-continue")) return false;
  return head.version !== "1.0" || says("connection", "keep-alive");
}

/** What the answer says of the connection; undefined where the version of HTTP means it anyway. */
export function connectionHeader(head: RequestHead): "close" | "keep-alive" | undefined {
  const staysOpen = goesOn(head);
  if (staysOpen === (head.version !== "1.0")) return undefined;
  return staysOpen ? "keep-alive" : "close";
}

/** What Go says to bytes that are no request, or no request of HTTP/1. `detail` goes into the status line as well. */
export function refuse(status: keyof typeof reasons, detail?: string): PlainAnswer {
  const reason = detail === undefined ? reasons[status] : `${reasons[status]}: ${detail}`;
  const headers = { "Content-Type": "text/plain; charset=utf-8", Connection: "close" };
  return { status, reason, headers, body: `${status} ${reason}`, bare: true };
}

const reasons = {
  400: "Bad Request",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
} as const;

/** The headers of an answer that ends its connection. */
const last = { Connection: "close" };

function answerEmpty(status: number, headers: PlainAnswer["headers"]): PlainAnswer {
  return { status, headers, body: "" };
}

/** The bytes that Go allows there: those of RFC 3986, 3.2.2, and nothing of what may stand around a host. */
const validHost = /^[\w!$%&'()*+,.:;=[\]~-]*$/;

/** Transfer-Encoding may be there once and be `chunked`, and nothing else. HTTP/1.0 has none. */
function hasUnknownEncoding(head: RequestHead): boolean {
  if (head.version === "1.0") return false;
  const encodings = valuesOf(head, "transfer-encoding");
  return encodings.length > 1 || (encodings[0] ?? "chunked").toLowerCase() !== "chunked";
}

interface Target {
  /** Empty unless the target is a whole URL. */
  readonly host: string;
  /** With its escapes, and with those that the client has left out. */
  readonly path: string;
  /** With its question mark, unless it is empty. */
  readonly query: string;
  /** Path and query as the client wrote them. */
  readonly uri: string;
}

/** Scheme and authority of a URL; the host with its port. */
const authority = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?@]*@)?((?:\[[^/?@[\]]*\]|[^/?@:[\]%]*)(?::\d*)?)(?=[/?]|$)/i;

/** As Go's `url.ParseRequestURI`. @returns undefined for what is no URL */
function parseTarget(target: string): Target | undefined {
  const [before = "", host = ""] = authority.exec(target) ?? [];
  const uri = target.slice(before.length);
  const [path = ""] = uri.split("?", 1);
  const query = uri.slice(path.length);
  if ((before === "" && !path.startsWith("/")) || /%(?![\da-f]{2})/i.test(path)) return undefined;
  // What a client has escaped beyond need stays, unless something necessary is missing.
  const isEscaped = /^[\w.~!$&'()*+,;=:@[\]/%-]*$/.test(path);
  return {
    host,
    path: isEscaped ? path : escapePath(unescape(path)),
    query: query === "?" ? "" : query,
    uri,
  };
}

/** The shortest path that means the same; a slash at the end stays. */
function cleanPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}${path.endsWith("/") && segments.length > 0 ? "/" : ""}`;
}

/** Bytes are characters of Latin-1 here, as in the targets that Node gives. */
function unescape(path: string): string {
  return path.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function escapePath(path: string): string {
  return path.replaceAll(/[^\w.~$&+,/:;=@-]/g, escapeByte);
}

function escapeByte(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** As Go's list headers: words between commas and blanks, in any case. */
function hasToken(value: string, token: string): boolean {
  return value
    .toLowerCase()
    .split(/[\s,]+/)
    .includes(token);
}

function valuesOf({ rawHeaders }: RequestHead, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

function firstOfEach(rawHeaders: readonly string[]): Record<string, string> {
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ""] as const] : [],
  );
  return Object.fromEntries(lines.toReversed());
}
