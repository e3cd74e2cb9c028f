import assert from "node:assert/strict";
import { test } from "node:test";
import { relayPublic } from "../testing/vectors.ts";
import {
  answer,
  type AnswerContext,
  answerPlainPort,
  browserHeaders,
  type PlainRequest,
} from "./http-answers.ts";
import { parseUpgrade, renderUpgradeAnswer } from "./upgrade.ts";

const context = (home = ""): AnswerContext => ({
  hostName: "relay.example",
  home,
  derp: true,
  health: () => ({ ok: true, version: "1.0.0", bundle: null, state: "serving" }),
  bootstrapDns: (question, asker) => `${asker} asks for ${JSON.stringify(question)}`,
});
const requestFor = (target: string, more: Partial<PlainRequest> = {}): PlainRequest => ({
  method: "GET",
  target,
  challenge: undefined,
  remoteAddress: "192.0.2.1",
  mayDebug: false,
  ...more,
});
const upgrade = (value: string, path = "/derp") => parseUpgrade(path, { upgrade: value });
const ask = (target: string, method = "GET", challenge?: string) =>
  answer(requestFor(target, { method, challenge }), context());

test("10. GET and HEAD of the probe paths give 200, an empty body and any origin", () => {
  for (const path of ["/derp/probe", "/derp/latency-check", "/derp/probe?x=1"]) {
    for (const method of ["GET", "HEAD"]) {
      assert.deepEqual(ask(path, method), {
        status: 200,
        headers: { "Access-Control-Allow-Origin": "*" },
        body: "",
      });
    }
  }
});

test("11. other methods on the probe paths give 405", () => {
  for (const method of ["POST", "OPTIONS"]) {
    const { status, body } = ask("/derp/probe", method);
    assert.deepEqual([status, body], [405, "bogus probe method\n"]);
  }
});

test("12. /derp without an upgrade gives 426", () => {
  const { status, body, headers } = ask("/derp");
  assert.deepEqual([status, body], [426, "DERP requires connection upgrade\n"]);
  assert.equal(headers["Content-Type"], "text/plain; charset=utf-8");
  assert.equal(headers["X-Content-Type-Options"], "nosniff");
});

test("12, 13, 17. an upgrade is Upgrade: DERP or a bare websocket, in any case, on exactly /derp", () => {
  for (const value of ["DERP", "derp", "Derp", "websocket", "WebSocket"]) {
    assert.deepEqual(upgrade(value), { carrier: "plain", fastStart: false, notIdeal: false }, value);
  }
  for (const value of ["foo", "", "h2c", "derp, websocket"]) assert.equal(upgrade(value), undefined, value);
  for (const path of ["/derp/", "/derp/x", "/", "/Derp"])
    assert.equal(upgrade("DERP", path), undefined, path);
});

test("13. the upgrade's answer is five exact lines and an empty one", () => {
  assert.equal(
    renderUpgradeAnswer({ carrier: "plain", fastStart: false, notIdeal: false }, relayPublic).toString(
      "latin1",
    ),
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n" +
      `Derp-Public-Key: ${relayPublic.toString("hex")}\r\n\r\n`,
  );
});

test("15, 32. fast start is exactly 1, and an ideal node is any name", () => {
  for (const [value, fastStart] of [
    ["1", true],
    ["true", false],
    ["0", false],
    ["", false],
  ] as const) {
    const request = parseUpgrade("/derp", { upgrade: "DERP", "derp-fast-start": value, "ideal-node": "1a" });
    assert.deepEqual(request, { carrier: "plain", fastStart, notIdeal: true });
  }
  assert.equal(
    renderUpgradeAnswer({ carrier: "plain", fastStart: true, notIdeal: false }, relayPublic).length,
    0,
  );
});

test("24, 25. generate_204 echoes a valid challenge and ignores any other", () => {
  const cache = { "Cache-Control": "no-cache, no-store, must-revalidate, no-transform, max-age=0" };
  assert.deepEqual(ask("/generate_204"), { status: 204, headers: cache, body: "" });
  for (const valid of [
    "input",
    "ts_derp99b.tailscale.com",
    "ts_[1:2]:3".replaceAll(/[[\]]/g, ""),
    "x".repeat(64),
  ]) {
    assert.equal(ask("/generate_204", "GET", valid).headers["X-Tailscale-Response"], `response ${valid}`);
  }
  for (const invalid of ["foo bar", "foo\0bar", "x".repeat(65), "", "é"]) {
    assert.deepEqual(ask("/generate_204", "GET", invalid).headers, cache, JSON.stringify(invalid));
  }
});

test("26. / and unknown paths give the home page with the four browser headers, and robots.txt its two lines", () => {
  for (const path of ["/", "/favicon.ico", "/derp/", "/derp/x"]) {
    const { status, headers, body } = ask(path);
    assert.equal(status, 200);
    assert.match(body, /<title>DERP<\/title>/);
    assert.deepEqual(headers, { ...browserHeaders, "Content-Type": "text/html; charset=utf-8" });
  }
  const robots = ask("/robots.txt");
  assert.equal(robots.body, "User-agent: *\nDisallow: /\n");
  assert.equal(robots.headers["X-Frame-Options"], "DENY");
});

test("28. a home of blank is an empty page, and a URL a redirect", () => {
  const { status, body } = answer(requestFor("/"), context("blank"));
  assert.deepEqual([status, body], [200, ""]);
  const redirect = answer(requestFor("/"), context("https://x/"));
  assert.deepEqual([redirect.status, redirect.headers["Location"]], [302, "https://x/"]);
});

test("/healthz is 503 when the relay is not well", () => {
  const sick: AnswerContext = {
    ...context(),
    health: () => ({ ok: false, version: "1", bundle: "ab", state: "stopping" }),
  };
  const { status, body } = answer(requestFor("/healthz"), sick);
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(body), { ok: false, version: "1", bundle: "ab", state: "stopping" });
  assert.equal(ask("/healthz").status, 200);
});

test("29. without DERP, /derp is 404, the probes go on, and the home page says so", () => {
  const off: AnswerContext = { ...context(), derp: false };
  const askOff = (target: string) => answer(requestFor(target), off);
  assert.deepEqual([askOff("/derp").status, askOff("/derp").body], [404, "derp server disabled\n"]);
  assert.equal(askOff("/derp/probe").status, 200);
  assert.match(askOff("/").body, /Status: <b>disabled<\/b>/);
});

test("30. plain HTTP answers the captive-portal check, sends GET and HEAD to HTTPS and refuses the rest", () => {
  const plain = (method: string, target: string) =>
    answerPlainPort(requestFor(target, { method, challenge: "ts_x" }), "relay.example:8080", target);
  assert.equal(plain("GET", "/generate_204").headers["X-Tailscale-Response"], "response ts_x");
  assert.deepEqual([plain("CONNECT", "/").status, plain("CONNECT", "/").body], [404, "404 page not found\n"]);
  const moved = plain("GET", "/foo?x=1");
  assert.deepEqual([moved.status, moved.headers["Location"]], [302, "https://relay.example:8080/foo?x=1"]);
  assert.deepEqual([plain("HEAD", "/").status, plain("HEAD", "/").body], [302, ""]);
  assert.deepEqual([plain("POST", "/foo").status, plain("POST", "/foo").body], [400, "Use HTTPS\n"]);
  assert.match(
    plain("GET", `/"><script>'&`).body,
    /^<a href="https:\/\/relay\.example:8080\/&#34;&gt;&lt;script&gt;&#39;&amp;">/,
  );
});

test("27. who may see the debug pages is told of them, and nobody else", () => {
  const seen = (mayDebug: boolean): string => answer(requestFor("/", { mayDebug }), context()).body;
  assert.match(seen(true), /href="\/debug\/"/);
  assert.doesNotMatch(seen(false), /debug/);
  const plain = answerPlainPort(requestFor("/", { mayDebug: true }), "a", "/");
  assert.equal(plain.headers["Location"], "https://a/debug/");
});

test("27. only relays of Tailscale's own name say where to report abuse", () => {
  const page = (hostName: string): string => answer(requestFor("/"), { ...context(), hostName }).body;
  for (const name of ["derp1.tailscale.com", "derp.tailscale.com", "derp9z.tailscale.com."])
    assert.match(page(name), /abuse.+security@tailscale\.com/);
  for (const name of [
    "relay.example",
    "derp1.bar.tailscale.com",
    "derp1.tailscale.com.example",
    "login.tailscale.com",
  ])
    assert.doesNotMatch(page(name), /abuse/);
});

test("110. bootstrap DNS is asked with the question and the client's address, and the connection closes", () => {
  const { status, headers, body } = answer(requestFor("/bootstrap-dns?q=a%2Eexample&q=b"), context());
  assert.deepEqual([status, body], [200, '192.0.2.1 asks for "a.example"']);
  assert.deepEqual(headers, { ...browserHeaders, "Content-Type": "application/json", Connection: "close" });
  const gone = answer(requestFor("/bootstrap-dns", { remoteAddress: undefined }), context());
  assert.equal(gone.body, ' asks for ""');
});
