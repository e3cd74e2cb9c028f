/**
 * Whole HTTP answers of ours beside derper's: status line, headers, body, and whether the connection goes on.
 *
 * A row says nothing of what is right: derper's answer is. Where ours is meant to be another one, `ours` holds it.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Answer, type Exchange, exchange, get } from "./http.ts";
import { whyMissing } from "./relay-under-test.ts";
import { shared } from "./suite.ts";

interface Row {
  readonly name: string;
  readonly request: string;
  /** How many answers the request asks for; default 1. */
  readonly count?: number;
  /** What ours does otherwise on purpose, in the form of `render`, and why. */
  readonly ours?: readonly [why: string, is: string];
  /** What is still to be mended in ours. */
  readonly finding?: string;
}

const robots = (...headers: string[]): string => get("/robots.txt", headers);
const post = (headers: readonly string[], body = ""): string => get("/robots.txt", headers, "POST") + body;
const closed = "no answer, then closed";

const finding = {
  method: "Node's parser closes on a method that it does not know; Go passes every token on",
  badRequest: "Node's `clientError` is a close; Go says 400 and why",
  path: "Go's mux redirects an unclean path (307) and compares the decoded one",
  absolute: "the target of a proxy request is a URL: its path counts",
  target: "Go refuses a target that is no URL (400)",
  debug: "there are no debug pages yet",
  head: "Go sends no Content-Length: 0 for HEAD",
  oneZero: "Go answers HTTP/1.0 as HTTP/1.0, without Connection: close; Bun does not keep such a connection",
  version: "Go refuses other versions: HTTP/2.0 505, none 400; serves 1.2",
  host: "Go refuses no Host, two Hosts and a malformed one with 400",
  length: "Go and Bun take equal Content-Lengths for one",
  encoding: "Go answers 501 to a transfer encoding other than chunked",
  expect: "Go sends 100 when the body is read, which it never is, and then closes",
  lenient: "Node's parser is stricter: bare LF, folded header lines",
  size: "Go allows 1 MiB of header, Node 16 KiB and 2000 lines",
  blank: "Node skips an empty line before the request, Go answers 400",
  connect: "Go goes on after a refused CONNECT",
} as const;

const methods = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"];
const paths = ["/", "/derp", "/derp/", "/derp/x", "/derp/probe", "/derp/latency-check", "/generate_204"];
const otherPaths = [
  "/robots.txt",
  "/robots.txt/",
  "/bootstrap-dns",
  "/bootstrap-dns?q=a.example",
  "/favicon.ico",
];
const noBody = new Set([
  "/derp/probe",
  "/derp/latency-check",
  "/bootstrap-dns",
  "/bootstrap-dns?q=a.example",
]);

const rows: readonly Row[] = [
  ...methods.flatMap((method) =>
    [...paths, ...otherPaths].map((path) => ({
      name: `${method} ${path}`,
      request: get(path, method === "PUT" || method === "POST" ? ["Content-Length: 0"] : [], method),
      ...(method === "HEAD" && noBody.has(path) ? { finding: finding.head } : {}),
    })),
  ),
  { name: "a method of one's own", request: get("/derp/probe", [], "BREW"), finding: finding.method },
  { name: "a method in lower case", request: get("/robots.txt", [], "get"), finding: finding.method },

  { name: "a query on /derp", request: get("/derp?x=1") },
  { name: "a query on /robots.txt", request: get("/robots.txt?x") },
  { name: "a fragment", request: get("/generate_204#x") },
  { name: "an encoded letter in the path", request: get("/%64erp"), finding: finding.path },
  { name: "two slashes first", request: get("//derp"), finding: finding.path },
  { name: "two slashes inside", request: get("/a//b"), finding: finding.path },
  { name: "dots up", request: get("/derp/../generate_204"), finding: finding.path },
  { name: "a dot", request: get("/./robots.txt"), finding: finding.path },
  { name: "a URL as target", request: get("http://other.example/robots.txt"), finding: finding.absolute },
  { name: "a URL without path", request: get("http://other.example"), finding: finding.absolute },
  { name: "GET *", request: get("*"), finding: finding.target },
  { name: "OPTIONS *", request: get("*", [], "OPTIONS"), finding: finding.target },
  { name: "a relative target", request: get("relative"), finding: finding.badRequest },
  { name: "a blank in the target", request: get("/a b"), finding: finding.badRequest },
  { name: "a control character in the target", request: get("/\x7f"), finding: finding.badRequest },
  { name: "a bad escape in the target", request: get("/%zz"), finding: finding.target },
  { name: "a byte above 127 in the target", request: get("/\xfc"), finding: finding.lenient },

  { name: "/debug", request: get("/debug"), finding: finding.debug },
  { name: "/debug/nothing", request: get("/debug/nothing"), finding: finding.debug },

  { name: "HTTP/1.0", request: "GET /robots.txt HTTP/1.0\r\n\r\n", finding: finding.oneZero },
  {
    name: "HTTP/1.0 keep-alive",
    request: "GET /robots.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    finding: finding.oneZero,
  },
  { name: "HTTP/1.2", request: "GET /robots.txt HTTP/1.2\r\nHost: a\r\n\r\n", finding: finding.version },
  { name: "HTTP/2.0", request: "GET /robots.txt HTTP/2.0\r\n\r\n", finding: finding.version },
  { name: "no version", request: "GET /robots.txt\r\n\r\n", finding: finding.version },
  { name: "HTTP/2's preface", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", finding: finding.badRequest },
  { name: "no Host", request: "GET /robots.txt HTTP/1.1\r\n\r\n", finding: finding.host },
  { name: "an empty Host", request: "GET /robots.txt HTTP/1.1\r\nHost:\r\n\r\n" },
  { name: "two Hosts", request: robots("Host: other.example"), finding: finding.host },
  {
    name: "a malformed Host",
    request: "GET /robots.txt HTTP/1.1\r\nHost: a b\r\n\r\n",
    finding: finding.host,
  },
  { name: "Connection: close", request: robots("Connection: close") },

  {
    name: "Content-Length and Transfer-Encoding",
    request: post(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    ours: ["servers that disagree on where a request ends can be played off against each other", closed],
  },
  {
    name: "two Content-Lengths",
    request: post(["Content-Length: 5", "Content-Length: 6"], "abcdef"),
    finding: finding.badRequest,
  },
  {
    name: "twice the same Content-Length",
    request: post(["Content-Length: 5", "Content-Length: 5"], "abcde"),
    finding: finding.length,
  },
  {
    name: "a bad Content-Length",
    request: post(["Content-Length: +5"], "abcde"),
    finding: finding.badRequest,
  },
  { name: "a body", request: post(["Content-Length: 5"], "abcde") },
  { name: "a chunked body", request: post(["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n") },
  {
    name: "another transfer encoding",
    request: post(["Transfer-Encoding: gzip"]),
    finding: finding.encoding,
  },
  {
    name: "Expect: 100-continue",
    request: post(["Content-Length: 5", "Expect: 100-continue"], "abcde"),
    finding: finding.expect,
  },
  {
    name: "another expectation",
    request: post(["Content-Length: 5", "Expect: foo"], "abcde"),
    finding: finding.expect,
  },

  { name: "an upgrade to h2c", request: robots("Upgrade: h2c", "Connection: Upgrade") },
  { name: "an upgrade to DERP elsewhere", request: get("/", ["Upgrade: DERP", "Connection: Upgrade"]) },
  { name: "an upgrade of /derp to foo", request: get("/derp", ["Upgrade: foo", "Connection: Upgrade"]) },
  { name: "an upgrade of a probe", request: get("/derp/probe", ["Upgrade: foo", "Connection: Upgrade"]) },
  { name: "an empty upgrade", request: get("/derp", ["Upgrade: ", "Connection: Upgrade"]) },
  { name: "CONNECT", request: get("example.com:443", [], "CONNECT"), finding: finding.connect },

  { name: "two requests in one segment", request: robots() + get("/generate_204"), count: 2 },
  { name: "bare line feeds", request: "GET /robots.txt HTTP/1.1\nHost: a\n\n", finding: finding.lenient },
  { name: "a folded header", request: robots("Foo: a", " b"), finding: finding.lenient },
  { name: "a blank before the colon", request: robots("Foo : x"), finding: finding.badRequest },
  { name: "a header without colon", request: robots("Foo"), finding: finding.badRequest },
  { name: "a NUL in a header", request: robots("Foo: a\0b"), finding: finding.badRequest },
  { name: "a byte above 127 in a header", request: robots("Foo: \xe9") },
  { name: "20 KB of header", request: robots(`X: ${"x".repeat(20_000)}`), finding: finding.size },
  { name: "1.2 MB of header", request: robots(`X: ${"x".repeat(1_200_000)}`), finding: finding.size },
  { name: "20 KB of target", request: get(`/robots.txt?${"x".repeat(20_000)}`), finding: finding.size },
  {
    name: "2500 headers",
    request: robots(...Array.from({ length: 2_500 }, (_, index) => `X-${index}: 1`)),
    finding: finding.size,
  },
  { name: "no HTTP", request: "hello\r\n\r\n", finding: finding.badRequest },
  { name: "an empty line first", request: `\r\n${robots()}`, finding: finding.blank },

  ...["input", "ts_a.example:8080", "foo bar", "x".repeat(64), "x".repeat(65), "", " pad ", "\xe9"].map(
    (challenge) => ({
      name: `the challenge ${JSON.stringify(challenge)}`,
      request: get("/generate_204", [`X-Tailscale-Challenge: ${challenge}`]),
    }),
  ),
  {
    name: "two challenges",
    request: get("/generate_204", ["X-Tailscale-Challenge: a", "X-Tailscale-Challenge: b"]),
    finding: "Go takes the first of two headers, Node joins them",
  },
  { name: "a range", request: robots("Range: bytes=0-3") },
  { name: "an accepted encoding", request: robots("Accept-Encoding: gzip") },
  { name: "a condition", request: robots("If-Modified-Since: Sun, 22 Nov 2099 00:00:00 GMT") },
];

for (const kind of ["node", "bun"] as const) {
  const skip = whyMissing("derper") ?? whyMissing(kind) ?? false;
  describe(`HTTP answers of ours on ${kind} are derper's`, { skip }, () => {
    const seen = new Map<Row, readonly [derper: Exchange, ours: Exchange]>();
    before(async () => {
      const relays = await Promise.all([shared("derper"), shared(kind)]);
      for (const row of rows) {
        const [theirs, ours] = await Promise.all(
          relays.map((relay) => exchange(relay, row.request, row.count)),
        );
        if (theirs !== undefined && ours !== undefined) seen.set(row, [theirs, ours]);
      }
    });
    for (const row of rows) {
      test(row.name, { todo: row.finding === undefined ? false : `finding: ${row.finding}` }, () => {
        const [theirs, ours] = seen.get(row) ?? [];
        assert.ok(theirs !== undefined && ours !== undefined);
        if (row.ours === undefined) assert.equal(render(ours), render(theirs));
        else assert.equal(render(ours), row.ours[1], row.ours[0]);
      });
    }
    test(
      "headers come in derper's order, and no others",
      { todo: "finding: Go sorts them, and Keep-Alive and Connection: keep-alive are Node's own" },
      () => {
        for (const [{ name, finding: known }, pair] of seen) {
          if (known !== undefined) continue;
          const [theirs, ours] = pair.map(({ answers }) =>
            answers.map(({ headers }) => headers.map(([header]) => header)),
          );
          assert.deepEqual(ours, theirs, name);
        }
      },
    );
  });
}

/** What is compared. Dates differ, the words of the home page are our own, and order is a test of its own. */
function render({ answers, afterwards }: Exchange): string {
  return [...(answers.length === 0 ? ["no answer"] : answers.map(renderAnswer)), `then ${afterwards}`].join(
    ", ",
  );
}

function renderAnswer({ statusLine, headers, body }: Answer): string {
  const isHome =
    headers.some(([, value]) => value === "text/html; charset=utf-8") &&
    (body === "" || body.includes("<h1>DERP</h1>"));
  const shown = headers
    .filter(([name, value]) => name !== "Keep-Alive" && value !== "keep-alive")
    .map(([name, value]) => {
      if (name === "Date") return `${name}: (now)`;
      return name === "Content-Length" && isHome ? `${name}: (of the page)` : `${name}: ${value}`;
    });
  return [statusLine, ...shown.sort(), isHome && body !== "" ? "(the page)" : JSON.stringify(body)].join(
    "\n",
  );
}
