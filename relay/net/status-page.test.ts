import assert from "node:assert/strict";
import { test } from "node:test";
import { statusAnswer } from "./status-page.ts";

const token = "0123456789abcdef";
const context = { isToken: (given: string) => given === token, render: () => '{"ok":true}\n' };

function ask(authorization?: string, target = "/derpkit/status", method = "GET") {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  return statusAnswer({ method, target, headers }, context);
}

test("who shows the token gets the status, which nobody is to keep", () => {
  for (const authorization of [`Bearer ${token}`, `bearer ${token}`, `BEARER  ${token} `])
    assert.deepEqual(ask(authorization), {
      status: 200,
      headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
      body: '{"ok":true}\n',
    });
  assert.equal(ask(`Bearer ${token}`, "/derpkit/status?x=1")?.status, 200);
  assert.equal(ask(`Bearer ${token}`, "/derpkit/status", "HEAD")?.status, 200);
});

test("anybody else gets 401 and is told what is asked for", () => {
  for (const authorization of [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    `Bearer ${token}x`,
    `Bearer ${token} ${token}`,
    `Basic ${token}`,
    token,
  ]) {
    const answer = ask(authorization);
    assert.equal(answer?.status, 401, authorization);
    assert.equal(answer.headers["WWW-Authenticate"], "Bearer");
    assert.equal(answer.headers["Cache-Control"], "no-store");
    assert.doesNotMatch(answer.body, /"ok"/);
  }
});

test("the page is there to be read, and only on its very path", () => {
  const answer = ask(`Bearer ${token}`, "/derpkit/status", "POST");
  assert.deepEqual([answer?.status, answer?.headers["Allow"]], [405, "GET, HEAD"]);
  for (const target of [
    "/",
    "/derpkit",
    "/derpkit/status/",
    "/derpkit/statusx",
    "/healthz",
    "/Derpkit/status",
  ])
    assert.equal(ask(`Bearer ${token}`, target), undefined, target);
});
