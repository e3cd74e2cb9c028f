import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { KitError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import type { Source } from "../updater/source.ts";
import { httpSource } from "./http-source.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server that answers as it is told to, and what it was asked. */
async function serve(t: TestContext, answer: Answer) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url}${request.headers["if-none-match"] === undefined ? "" : " if changed"}`);
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  const base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/derpkit/fra`);
  const source = httpSource({ base, agentFor: buildAgents({ env: {} }) });
  return { asked, base, source };
}

const limits = { maxBytes: 100, signal: new AbortController().signal };

async function textOf(source: Source, file: string): Promise<string | undefined> {
  const bytes = await source.fetch(file, limits);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

function isUnreadable(says: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof KitError && error.code === "delivery-unreadable" && says.test(error.message);
}

test("a file is asked for below the folder, which may end with a slash or not", async (t) => {
  const { asked, base, source } = await serve(t, (_, response) => response.end("bytes"));
  assert.equal(await textOf(source, "config/901a.json"), "bytes");
  const other = httpSource({ base: new URL(`${base.href}/`), agentFor: buildAgents({ env: {} }) });
  assert.equal(await textOf(other, "relay.mjs"), "bytes");
  assert.deepEqual(asked, ["/derpkit/fra/config/901a.json", "/derpkit/fra/relay.mjs"]);
});

test("what has not changed is not sent again, and what has changed is", async (t) => {
  let etag = '"1"';
  const { asked, source } = await serve(t, (request, response) => {
    response.setHeader("ETag", etag);
    if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
    else response.end(`version ${etag}`);
  });
  assert.equal(await textOf(source, "manifest.json"), 'version "1"');
  assert.equal(await textOf(source, "manifest.json"), 'version "1"');
  etag = '"2"';
  assert.equal(await textOf(source, "manifest.json"), 'version "2"');
  assert.equal(await textOf(source, "manifest.json"), 'version "2"');
  assert.deepEqual(asked, [
    "/derpkit/fra/manifest.json",
    ...Array.from({ length: 3 }, () => "/derpkit/fra/manifest.json if changed"),
  ]);
});

for (const status of [403, 404, 410]) {
  test(`HTTP status ${status} means that there is no such file`, async (t) => {
    const { source } = await serve(t, (_, response) => response.writeHead(status).end("no"));
    assert.equal(await source.fetch("manifest.json", limits), undefined);
  });
}

test("a file that the delivery lacks is taken from its mirrors, in order", async (t) => {
  const { asked, base, source } = await serve(t, ({ url }, response) => {
    if (url === "/second.tgz") response.end("archive");
    else response.writeHead(404).end();
  });
  const mirrors = ["/first.tgz", "/second.tgz"].map((place) => new URL(place, base).href);
  const bytes = await source.fetch("runtime-archive/bun.tgz", { ...limits, mirrors });
  assert.equal(Buffer.from(bytes ?? []).toString(), "archive");
  assert.deepEqual(asked, ["/derpkit/fra/runtime-archive/bun.tgz", "/first.tgz", "/second.tgz"]);
});

test("a redirect is followed, and one that goes round and round is not", async (t) => {
  const { source } = await serve(t, ({ url }, response) => {
    if (url === "/elsewhere") response.end("bytes");
    else if (url?.endsWith("once")) response.writeHead(302, { Location: "/elsewhere" }).end();
    else response.writeHead(302, { Location: url }).end();
  });
  assert.equal(await textOf(source, "once"), "bytes");
  await assert.rejects(source.fetch("for-ever", limits), isUnreadable(/leads nowhere/));
});

test("of a file that is too long one byte too many is read", async (t) => {
  const { source } = await serve(t, (_, response) => response.end("x".repeat(5_000)));
  assert.equal((await source.fetch("relay.mjs", limits))?.length, limits.maxBytes + 1);
});

test("an answer that breaks off, a server's failure and one that is not there are told apart from a missing file", async (t) => {
  const { source, base } = await serve(t, ({ url }, response) => {
    if (url?.endsWith("broken")) {
      response.writeHead(200, { "Content-Length": "50" });
      response.write("half", () => response.destroy());
    } else response.writeHead(503).end();
  });
  await assert.rejects(source.fetch("broken", limits), isUnreadable(/broke off after 4 bytes/));
  await assert.rejects(source.fetch("busy", limits), isUnreadable(/HTTP status 503/));
  const nobody = httpSource({ base: new URL("http://127.0.0.1:9/"), agentFor: buildAgents({ env: {} }) });
  await assert.rejects(nobody.fetch("manifest.json", limits), isUnreadable(/ECONNREFUSED|connect/));
  assert.ok(base);
});

test("an address is shown without what may be secret in it", async (t) => {
  const { base } = await serve(t, (_, response) => response.writeHead(500).end());
  const secret = new URL(`${base.href}/?token=hunter2`);
  const source = httpSource({ base: secret, agentFor: buildAgents({ env: {} }) });
  await assert.rejects(source.fetch("manifest.json", limits), (error) => {
    assert.ok(error instanceof KitError);
    assert.doesNotMatch(`${error.where} ${error.message}`, /hunter2/);
    return true;
  });
});

test("who is stopped while it fetches hears the reason for that", async (t) => {
  const { source } = await serve(t, () => {});
  const stopping = new AbortController();
  const fetching = source.fetch("manifest.json", { maxBytes: 100, signal: stopping.signal });
  const reason = new Error("stopped");
  stopping.abort(reason);
  await assert.rejects(fetching, reason);
});
