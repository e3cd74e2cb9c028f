import assert from "node:assert/strict";
import { test } from "node:test";
import { statusAnswer } from "./status-page.ts";

const token = "0123456789abcdef";
const context = {
  isToken: (given: string) => given === token,
  render: () => '{"ok":true}\n',
  letGo: (): string | undefined => '{"leaving":2}\n',
};

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

test("who shows the token may have clients let go, by a POST, if the region is on its way out", () => {
  const path = "/derpkit/let-go";
  assert.deepEqual(ask(`Bearer ${token}`, path, "POST"), {
    status: 200,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
    body: '{"leaving":2}\n',
  });
  const asked: string[] = [];
  const serving = { ...context, letGo: () => void asked.push("let go") };
  const from = (method: string, authorization: string) =>
    statusAnswer({ method, target: path, headers: { authorization } }, serving);
  for (const method of ["GET", "HEAD", "PUT"]) {
    const answer = from(method, `Bearer ${token}`);
    assert.deepEqual([answer?.status, answer?.headers["Allow"]], [405, "POST"]);
  }
  assert.equal(from("POST", "Bearer another-of-16-chars")?.status, 401);
  assert.deepEqual(asked, []);
  assert.equal(from("POST", `Bearer ${token}`)?.status, 409);
});

test("the page is there to be read, and only on its very path", () => {
  const answer = ask(`Bearer ${token}`, "/derpkit/status", "POST");
  assert.deepEqual([answer?.status, answer?.headers["Allow"]], [405, "GET, HEAD"]);
  for (const target of [
    "/",
    "/derpkit",
    "/derpkit/status/",
    "/derpkit/statusx",
    "/derpkit/let-go/",
    "/healthz",
    "/Derpkit/status",
  ])
    assert.equal(ask(`Bearer ${token}`, target), undefined, target);
});
