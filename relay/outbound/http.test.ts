import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createSecureContext, type SecureContext } from "node:tls";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { KitError, renderError } from "../errors.ts";
import { describeFailure } from "./failure.ts";
import { buildAgents, type HttpReply, sendRequest, withDeadline } from "./http.ts";
import { forever, garbage, hangUp, reply, startServer } from "./testing/servers.ts";

async function get(url: URL, env: Record<string, string> = {}, trust?: SecureContext): Promise<HttpReply> {
  const agent = buildAgents(trust === undefined ? { env } : { env, trust })(url);
  return sendRequest({ url, method: "GET", headers: {}, agent, maxBytes: 100, signal: forever });
}

test("a body is read as far as its limit, and whether that was all is told", async (t) => {
  const server = await startServer(t, reply(200, "x".repeat(100)));
  const whole = await get(server.url);
  assert.deepEqual([whole.status, whole.body.length, whole.complete], [200, 100, true]);
  server.answer = reply(200, "x".repeat(101));
  const tooLong = await get(server.url);
  assert.deepEqual([tooLong.body.length, tooLong.complete], [100, false]);
  server.answer = (response) => void response.writeHead(200).write("x".repeat(1_000)); // And it does not end.
  assert.equal((await get(server.url)).body.length, 100);
  server.answer = (response) => {
    response.writeHead(200, { "Content-Length": "90" });
    response.write("half", () => response.socket?.destroy());
  };
  const cutOff = await get(server.url);
  assert.deepEqual([String(cutOff.body), cutOff.complete], ["half", false]);
});

test("a request without the head of an answer fails", async (t) => {
  const server = await startServer(t, hangUp);
  await assert.rejects(get(server.url), /hang up/);
  server.answer = garbage;
  await assert.rejects(get(server.url), /Parse Error/);
});

test("requests go through the proxy that the environment names", async (t) => {
  const proxy = await startServer(t, reply(200, "from the proxy"));
  const url = new URL("http://verify.example.net/path");
  for (const env of [
    { HTTP_PROXY: proxy.url.href },
    { http_proxy: proxy.url.href, HTTPS_PROXY: "" },
    { HTTP_PROXY: proxy.url.host },
  ]) {
    assert.equal(String((await get(url, env)).body), "from the proxy");
    assert.equal(proxy.received.pop()?.url, url.href);
  }
});

test("a proxy that is none is a mistake in the configuration, told without its value", () => {
  for (const value of ["http://user:pa55word@[", "socks5://user:pa55word@192.0.2.1:1080"]) {
    assert.throws(
      () => buildAgents({ env: { HTTPS_PROXY: value } }),
      (error) => error instanceof KitError && !renderError(error).includes("pa55word"),
    );
  }
});

test("HTTPS goes through a tunnel, and the proxy's password is in no message", async (t) => {
  const proxy = await startServer(t, reply(200));
  const asked: string[] = [];
  proxy.server.on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  const { port } = proxy.url;
  const refused = get(new URL("https://verify.example.net/"), {
    HTTPS_PROXY: `http://user:pa55word@127.0.0.1:${port}`,
  });
  await assert.rejects(refused, (error) => {
    assert.doesNotMatch(describeFailure(error), /pa55word/);
    return true;
  });
  assert.deepEqual(asked, ["verify.example.net:443"]);
});

test("a certificate is trusted if its issuer is among those given", async (t) => {
  const made = createSelfSigned({ hostName: "127.0.0.1", ...pinnedValidity(new Date()) });
  const server = createServer({ cert: made.certificatePem, key: made.keyPem }, (_, response) =>
    response.end("x"),
  );
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await assert.rejects(get(url), /certificate/);
  assert.equal((await get(url, {}, createSecureContext({ ca: made.certificatePem }))).status, 200);
});

test("this machine is reached without a proxy, and so are the hosts of NO_PROXY", async (t) => {
  const server = await startServer(t, reply(200, "direct"));
  const proxy = await startServer(t, reply(502));
  const env = { HTTP_PROXY: proxy.url.href };
  assert.equal(String((await get(server.url, env)).body), "direct");
  const away = new URL("http://verify.example.invalid/");
  await assert.rejects(get(away, { ...env, NO_PROXY: "example.invalid,.example.invalid" }));
  assert.equal(proxy.received.length, 0);
});

test("a deadline aborts with a reason, ends with what it limits, and passes an earlier abort on", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const aborted = async (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const late = withDeadline(5_000, forever, aborted);
  t.mock.timers.tick(5_000);
  await assert.rejects(late, { message: "no answer within 5 s" });
  let limit: AbortSignal | undefined;
  await withDeadline(5_000, forever, async (signal) => {
    limit = signal;
  });
  t.mock.timers.tick(5_000);
  assert.equal(limit?.aborted, false);
  const stop = new AbortController();
  const stopped = withDeadline(5_000, stop.signal, aborted);
  stop.abort(new Error("the relay stops"));
  await assert.rejects(stopped, { message: "the relay stops" });
  await assert.rejects(withDeadline(5_000, stop.signal, aborted), { message: "the relay stops" });
});
