import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test, type TestContext } from "node:test";
import { Challenges } from "../certificates/challenges.ts";
import { exchangeHttp, getRequest } from "../testing/http-connection.ts";
import { buildDebugAccess } from "./debug-access.ts";
import type { HttpService } from "./http-server.ts";
import { answerBeside, answerMain, type RouteContext } from "./routes.ts";

const context: RouteContext = {
  secure: true,
  ace: false,
  challenges: undefined,
  answers: {
    hostName: "relay.example",
    home: "blank",
    derp: true,
    health: () => ({ ok: true, version: "1", bundle: null, state: "serving" }),
    bootstrapDns: (question, asker) => `${asker} asks for ${question}`,
  },
  debug: {
    access: buildDebugAccess({
      allowIp: "",
      trustedCidrs: "",
      readKey: () => undefined,
      strictDerper: false,
    }),
    hostname: "a",
    machine: "vm",
    dev: false,
    version: "1",
    meshKey: false,
    uptimeSeconds: () => 1,
    vars: () => "{}\n",
    varz: () => "answers 1\n",
    certificates: () => "[]\n",
    check: () => Promise.resolve([]),
  },
  status: undefined,
};

/** What a request is answered on a port, without the headers that do not matter. */
async function asked(
  t: TestContext,
  route: typeof answerMain,
  target: string,
  ...headers: string[]
): Promise<string> {
  return askedOf(t, context, route, target, ...headers);
}

async function askedOf(
  t: TestContext,
  routes: RouteContext,
  route: typeof answerMain,
  target: string,
  ...headers: string[]
): Promise<string> {
  const service: HttpService = { answer: (request, message) => route(request, message, routes) };
  return exchangeHttp(t, service, getRequest(target, ...headers, "Connection: close"));
}

test("on the main port the client's address and the first of two challenges count", async (t) => {
  assert.match(await asked(t, answerMain, "/bootstrap-dns?q=b"), /\r\n\r\n127\.0\.0\.1 asks for b$/);
  const challenges = ["X-Tailscale-Challenge: first", "X-Tailscale-Challenge: second"];
  assert.match(
    await asked(t, answerMain, "/generate_204", ...challenges),
    /\r\nX-Tailscale-Response: response first\r\n/,
  );
});

test("114. who stands behind a proxy cannot hide it behind an X-Forwarded-For of his own", async (t) => {
  assert.match(await asked(t, answerMain, "/%64ebug/varz"), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nanswers 1\n$/);
  const both = ["X-Forwarded-For:", "X-Forwarded-For: 192.0.2.1"];
  assert.match(await asked(t, answerMain, "/debug/varz", ...both), /^HTTP\/1\.1 403 Forbidden\r\n/);
});

test("30. beside HTTPS a redirect keeps a target as it is, and what begins with /debug is the main port's", async (t) => {
  const beside = (target: string): Promise<string> => asked(t, answerBeside, target);
  assert.match(await beside("/%64erp/a%2Fb?%zz"), /\r\nLocation: https:\/\/a\/%64erp\/a%2Fb\?%zz\r\n/);
  assert.match(
    await beside("http://b.example:8080/x?y"),
    /\r\nLocation: https:\/\/b\.example:8080\/x\?y\r\n/,
  );
  assert.match(await beside("/%64ebug/varz"), /\r\nLocation: https:\/\/a\/%64ebug\/varz\r\n/);
  assert.match(await beside("/debug/varz"), /\r\n\r\nanswers 1\n$/);
  assert.match(await beside("/debugging"), /^HTTP\/1\.1 200 OK\r\n[^]*\r\nContent-Length: 0\r\n/);
  assert.match(await beside("/"), /\r\nLocation: https:\/\/a\/debug\/\r\n/);
});

test("beside HTTPS an authority gets the answer to its challenge, and 404 for one that nobody knows", async (t) => {
  const challenges = new Challenges();
  challenges.offerHttp("tok-en_1", "tok-en_1.thumbprint");
  const beside = (target: string): Promise<string> =>
    askedOf(t, { ...context, challenges }, answerBeside, target);
  const known = "/.well-known/acme-challenge/tok-en_1";
  for (const target of [known, `${known}?x`, `http://b.example:8080${known}`])
    assert.equal(
      await beside(target),
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 19\r\nConnection: close\r\n\r\n" +
        "tok-en_1.thumbprint",
      target,
    );
  for (const token of ["", "tok-en_2", "tok-en_1/", "__proto__"])
    assert.match(
      await beside(`/.well-known/acme-challenge/${token}`),
      /^HTTP\/1\.1 404 Not Found\r\n/,
      token,
    );
  for (const target of ["/.well-known/acme-challenge", "/.well-known/other", "/tok-en_1"])
    assert.match(await beside(target), /\r\nLocation: https:\/\/a\//, target);
  assert.match(
    await askedOf(t, { ...context, challenges }, answerMain, known),
    /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/,
  );
});

test("where no authority asks, its path is redirected like any other", async (t) => {
  const target = "/.well-known/acme-challenge/token";
  assert.match(
    await asked(t, answerBeside, target),
    /^HTTP\/1\.1 302 Found\r\n[^]*\r\nLocation: https:\/\/a\/\.well-known\/acme-challenge\/token\r\n/,
  );
});

test("without TLS the status page is there for who asks on this machine, and for nobody else", async () => {
  const status = {
    isToken: (given: string) => given === "token",
    render: () => "{}\n",
    letGo: () => undefined,
  };
  const plain = { ...context, secure: false, status };
  const request = {
    method: "GET",
    target: "/derpkit/status",
    uri: "/derpkit/status",
    host: "a",
    headers: { authorization: "Bearer token" },
  };
  const bodyFor = async (remoteAddress: string | undefined, routes = plain): Promise<string> => {
    const message = { headers: {}, socket: { remoteAddress } } as unknown as IncomingMessage;
    return (await answerMain(request, message, routes)).body;
  };
  for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "::1"])
    assert.equal(await bodyFor(address), "{}\n");
  for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", undefined])
    assert.equal(await bodyFor(address), "", address);
  assert.equal(await bodyFor("192.0.2.1", { ...plain, secure: true }), "{}\n");
});
