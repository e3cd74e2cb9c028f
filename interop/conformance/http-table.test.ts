/**
 * Whole HTTP answers of ours beside derper's: status line, headers in their order, body, and whether the connection goes on.
 *
 * A row says nothing of what is right: derper's answer is. Where ours is meant to be another one, `ours` holds it.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { browserHeaders } from "../../relay/net/http-answers.ts";
import { type Answer, type Exchange, exchange, get } from "./http.ts";
import { whyMissing } from "./relay-under-test.ts";
import { shared } from "./suite.ts";

interface Row {
  readonly name: string;
  readonly request: string;
  /** How many answers the request asks for; default 1. */
  readonly count?: number;
  /** What ours does otherwise, and why: docs/derper.md. */
  readonly ours?: readonly [why: string, is: Exchange];
}

const robots = (...headers: string[]): string => get("/robots.txt", headers);
const post = (headers: readonly string[], body = ""): string => get("/robots.txt", headers, "POST") + body;

const plainText = ["Content-Type", "text/plain; charset=utf-8"] as const;
const close = ["Connection", "close"] as const;

/** An answer of ours without a body of its own: the status line says it all. */
function refused(status: string): Exchange {
  return {
    answers: [{ statusLine: `HTTP/1.1 ${status}`, headers: [plainText, close], body: status }],
    afterwards: "closed",
  };
}

/** `/robots.txt`, with what else is said, on a connection that goes on. */
function served(...more: readonly (readonly [string, string])[]): Exchange {
  const length = ["Content-Length", "26"] as const;
  const headers = [...Object.entries(browserHeaders), ["Date", "now"] as const, length, plainText, ...more];
  return {
    answers: [{ statusLine: "HTTP/1.1 200 OK", headers, body: "User-agent: *\nDisallow: /\n" }],
    afterwards: "open",
  };
}

const chunked = ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"];

const connectRefused: Exchange = {
  answers: [
    {
      statusLine: "HTTP/1.1 403 Forbidden",
      headers: [
        plainText,
        ["X-Content-Type-Options", "nosniff"],
        ["Date", "now"],
        ["Content-Length", "20"],
        close,
      ],
      body: "CONNECT not enabled\n",
    },
  ],
  afterwards: "closed",
};

const badRequest = refused("400 Bad Request");
const parser = ["Node's parser decides", badRequest] as const;
const tooLong = [
  "16 KiB of head are enough for everybody, and 1 MiB is much to hold for a stranger",
  refused("431 Request Header Fields Too Large"),
] as const;
const methods = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"];
const paths = ["/", "/derp", "/derp/", "/derp/x", "/derp/probe", "/derp/latency-check", "/generate_204"];
const otherPaths = [
  "/robots.txt",
  "/robots.txt/",
  "/bootstrap-dns",
  "/bootstrap-dns?q=a.example",
  "/favicon.ico",
];

const rows: readonly Row[] = [
  ...methods.flatMap((method) =>
    [...paths, ...otherPaths].map((path) => ({
      name: `${method} ${path}`,
      request: get(path, method === "PUT" || method === "POST" ? ["Content-Length: 0"] : [], method),
    })),
  ),
  { name: "a method of one's own", request: get("/derp/probe", [], "BREW"), ours: parser },
  { name: "a method in lower case", request: get("/robots.txt", [], "get"), ours: parser },

  { name: "a query on /derp", request: get("/derp?x=1") },
  { name: "a query on /robots.txt", request: get("/robots.txt?x") },
  { name: "a fragment", request: get("/generate_204#x") },
  { name: "an encoded letter in the path", request: get("/%64erp") },
  { name: "two slashes first", request: get("//derp") },
  { name: "two slashes inside", request: get("/a//b") },
  { name: "dots up", request: get("/derp/../generate_204") },
  { name: "a dot", request: get("/./robots.txt") },
  { name: "a URL as target", request: get("http://other.example/robots.txt") },
  { name: "a URL without path", request: get("http://other.example") },
  { name: "a URL with a user and a port", request: get("http://user@other.example:8080/robots.txt") },
  { name: "a URL with a bad port", request: get("http://other.example:x/robots.txt") },
  { name: "an opaque URL", request: get("mailto:robots"), ours: parser },
  { name: "an escaped slash", request: get("/derp%2Fprobe") },
  { name: "an escaped dot", request: get("/derp/%2e%2e/generate_204") },
  { name: "escapes in a path that is not clean", request: get("//%64erp/a!b?x=%64") },
  { name: "what has to be escaped, in a path that is not clean", request: get(`//"<'>{|}^\`\\`) },
  { name: "POST of a path that is not clean", request: get("//derp", ["Content-Length: 0"], "POST") },
  { name: "HEAD of a path that is not clean", request: get("//derp", [], "HEAD") },
  { name: "GET *", request: get("*") },
  { name: "OPTIONS *", request: get("*", [], "OPTIONS") },
  { name: "a relative target", request: get("relative") },
  { name: "a blank in the target", request: get("/a b") },
  { name: "a control character in the target", request: get("/\x7f") },
  { name: "a bad escape in the target", request: get("/%zz") },
  { name: "a byte above 127 in the target", request: get("/\xfc"), ours: parser },

  { name: "/debug", request: get("/debug") },
  { name: "/debug/nothing", request: get("/debug/nothing") },

  { name: "HTTP/1.0", request: "GET /robots.txt HTTP/1.0\r\n\r\n" },
  {
    name: "HTTP/1.0 keep-alive",
    request: "GET /robots.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  },
  { name: "HTTP/1.2", request: "GET /robots.txt HTTP/1.2\r\nHost: a\r\n\r\n", ours: parser },
  { name: "HTTP/2.0", request: "GET /robots.txt HTTP/2.0\r\n\r\n" },
  { name: "no version", request: "GET /robots.txt\r\n\r\n" },
  { name: "HTTP/2's preface", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ours: parser },
  { name: "a malformed Host in HTTP/1.0", request: "GET /robots.txt HTTP/1.0\r\nHost: a b\r\n\r\n" },
  { name: "no Host", request: "GET /robots.txt HTTP/1.1\r\n\r\n" },
  { name: "an empty Host", request: "GET /robots.txt HTTP/1.1\r\nHost:\r\n\r\n" },
  { name: "two Hosts", request: robots("Host: other.example") },
  {
    name: "a malformed Host",
    request: "GET /robots.txt HTTP/1.1\r\nHost: a b\r\n\r\n",
  },
  { name: "Connection: close", request: robots("Connection: close") },

  {
    name: "Content-Length and Transfer-Encoding",
    request: post(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    ours: ["servers that disagree on where a request ends can be played off against each other", badRequest],
  },
  {
    name: "two Content-Lengths",
    request: post(["Content-Length: 5", "Content-Length: 6"], "abcdef"),
  },
  {
    name: "twice the same Content-Length",
    request: post(["Content-Length: 5", "Content-Length: 5"], "abcde"),
    ours: parser,
  },
  {
    name: "a bad Content-Length",
    request: post(["Content-Length: +5"], "abcde"),
  },
  { name: "a body", request: post(["Content-Length: 5"], "abcde") },
  { name: "a chunked body", request: post(["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n") },
  {
    name: "another transfer encoding",
    request: post(["Transfer-Encoding: gzip"]),
  },
  { name: "a transfer encoding twice", request: post(chunked), ours: parser },
  {
    name: "an unknown transfer encoding in HTTP/1.0",
    request: "GET /robots.txt HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n",
  },
  {
    name: "a chunk of no length",
    request: post(["Transfer-Encoding: chunked"], "zz\r\n"),
    ours: ["the answer has gone when the body is read", { ...served(), afterwards: "closed" }],
  },
  {
    name: "300 KB of body",
    request: post(["Content-Length: 300000"], "x".repeat(300_000)),
    ours: ["what time bounds needs no bound in bytes", served()],
  },
  {
    name: "Expect: 100-continue",
    request: post(["Content-Length: 5", "Expect: 100-continue"], "abcde"),
  },
  {
    name: "another expectation",
    request: post(["Content-Length: 5", "Expect: foo"], "abcde"),
  },

  { name: "an empty expectation", request: robots("Expect:") },
  { name: "an expectation of HTTP/1.0", request: "GET /robots.txt HTTP/1.0\r\nExpect: foo\r\n\r\n" },
  {
    name: "Expect: 100-continue without a body",
    request: robots("Expect: 100-continue"),
    ours: ["Node ends the connection after it", { ...served(close), afterwards: "closed" }],
  },

  { name: "an upgrade to h2c", request: robots("Upgrade: h2c", "Connection: Upgrade") },
  { name: "an upgrade to DERP elsewhere", request: get("/", ["Upgrade: DERP", "Connection: Upgrade"]) },
  { name: "an upgrade of /derp to foo", request: get("/derp", ["Upgrade: foo", "Connection: Upgrade"]) },
  { name: "an upgrade of a probe", request: get("/derp/probe", ["Upgrade: foo", "Connection: Upgrade"]) },
  { name: "an empty upgrade", request: get("/derp", ["Upgrade: ", "Connection: Upgrade"]) },
  {
    name: "CONNECT",
    request: get("example.com:443", [], "CONNECT"),
    ours: ["Node hands the connection over, and it ends", connectRefused],
  },

  { name: "two requests in one segment", request: robots() + get("/generate_204"), count: 2 },
  {
    name: "requests, and then none",
    request: `${robots()}${get("/generate_204")}${get("/derp/probe")}hello\r\n\r\n`,
    count: 4,
  },
  { name: "bare line feeds", request: "GET /robots.txt HTTP/1.1\nHost: a\n\n", ours: parser },
  { name: "a folded header", request: robots("Foo: a", " b"), ours: parser },
  { name: "a blank before the colon", request: robots("Foo : x"), ours: parser },
  { name: "a header without colon", request: robots("Foo") },
  { name: "a NUL in a header", request: robots("Foo: a\0b") },
  { name: "a byte above 127 in a header", request: robots("Foo: \xe9") },
  { name: "20 KB of header", request: robots(`X: ${"x".repeat(20_000)}`), ours: tooLong },
  { name: "1.2 MB of header", request: robots(`X: ${"x".repeat(1_200_000)}`) },
  { name: "20 KB of target", request: get(`/robots.txt?${"x".repeat(20_000)}`), ours: tooLong },
  {
    name: "2500 headers",
    request: robots(...Array.from({ length: 2_500 }, (_, index) => `X-${index}: 1`)),
    ours: tooLong,
  },
  {
    name: "2500 short headers before one that counts",
    request: get("/generate_204", [...Array.from({ length: 2_500 }, () => "a:"), "X-Tailscale-Challenge: a"]),
  },
  { name: "no HTTP", request: "hello\r\n\r\n" },
  { name: "an empty line first", request: `\r\n${robots()}`, ours: ["Node's parser skips it", served()] },

  ...["input", "ts_a.example:8080", "foo bar", "x".repeat(64), "x".repeat(65), "", " pad ", "\xe9"].map(
    (challenge) => ({
      name: `the challenge ${JSON.stringify(challenge)}`,
      request: get("/generate_204", [`X-Tailscale-Challenge: ${challenge}`]),
    }),
  ),
  {
    name: "two challenges",
    request: get("/generate_204", ["X-Tailscale-Challenge: a", "X-Tailscale-Challenge: b"]),
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
      test(row.name, () => {
        const [theirs, ours] = seen.get(row) ?? [];
        assert.ok(theirs !== undefined && ours !== undefined);
        const [why, is] = row.ours ?? ["as derper", theirs];
        assert.equal(render(ours), render(is), why);
      });
    }
  });
}

/** What is compared. Dates differ, and the words of the home page are our own. */
function render({ answers, afterwards }: Exchange): string {
  return [...(answers.length === 0 ? ["no answer"] : answers.map(renderAnswer)), `then ${afterwards}`].join(
    ", ",
  );
}

function renderAnswer({ statusLine, headers, body }: Answer): string {
  const isHome =
    headers.some(([, value]) => value === "text/html; charset=utf-8") &&
    (body === "" || body.includes("<h1>DERP</h1>"));
  const shown = headers.map(([name, value]) => {
    if (name === "Date") return `${name}: (now)`;
    return name === "Content-Length" && isHome ? `${name}: (of the page)` : `${name}: ${value}`;
  });
  // Node knows no other version to answer with.
  const line = statusLine.replace("HTTP/1.0", "HTTP/1.1");
  return [line, ...shown, isHome && body !== "" ? "(the page)" : JSON.stringify(body)].join("\n");
}
