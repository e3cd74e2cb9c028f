import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { exchangeHttp, getRequest as get, openHttp } from "../testing/http-connection.ts";
import { plainError } from "./http-answers.ts";
import type { HttpService, TakeOver } from "./http-server.ts";

/** Answers with what it was asked for. */
const echo: HttpService = {
  answer: ({ method, target }) => ({ status: 200, headers: {}, body: `${method} ${target}` }),
};

const refused = (status: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`;

test("bytes that are no request are refused as Go does, and a head that is too long with 431", async (t) => {
  assert.equal(await exchangeHttp(t, echo, "hello\r\n\r\n"), refused("400 Bad Request"));
  assert.equal(
    await exchangeHttp(t, echo, get("/", `A: ${"x".repeat(17_000)}`)),
    refused("431 Request Header Fields Too Large"),
  );
  assert.equal(
    await exchangeHttp(t, echo, get("/", "Content-Length: 1", "Transfer-Encoding: chunked")),
    refused("400 Bad Request"),
  );
});

test("answers come in order, and the refusal of what follows last", async (t) => {
  const answers = await exchangeHttp(t, echo, `${get("/1")}${get("/2")}${get("/3")}bad\r\n\r\n`);
  assert.deepEqual(
    answers.split("\r\n").filter((line) => /^GET|^HTTP|^400/.test(line)),
    [
      "HTTP/1.1 200 OK",
      "GET /1HTTP/1.1 200 OK",
      "GET /2HTTP/1.1 200 OK",
      "GET /3HTTP/1.1 400 Bad Request",
    ].concat("400 Bad Request"),
  );
});

test("a body that is malformed ends the connection of a request that has its answer", async (t) => {
  const answers = await exchangeHttp(t, echo, `${get("/", "Transfer-Encoding: chunked")}zz\r\n`);
  assert.match(answers, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nGET \/$/);
});

test("nothing that Node would add is in an answer, and it says only what becomes of the connection", async (t) => {
  assert.equal(
    await exchangeHttp(t, echo, get("/") + get("/", "Connection: close")),
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGET /" +
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nGET /",
  );
});

test("no header is left out, however many there are", async (t) => {
  const service: HttpService = {
    answer: (_request, { headers }) => plainError(200, String(headers["x-forwarded-for"])),
  };
  const many = Array.from({ length: 3_000 }, () => "a:");
  const answer = await exchangeHttp(
    t,
    service,
    get("/", ...many, "X-Forwarded-For: 192.0.2.1", "Connection: close"),
  );
  assert.match(answer, /\r\n\r\n192\.0\.2\.1\n$/);
});

test("a connection has 15 s for a request, and again after each answer", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, served } = await openHttp(t, echo);
  t.mock.timers.tick(14_999);
  assert.equal(served.destroyed, false);
  client.write(get("/"));
  await once(client, "data");
  t.mock.timers.tick(14_999);
  assert.equal(served.destroyed, false);
  client.write("GET / HTTP/1.1\r\nHo");
  t.mock.timers.tick(1);
  assert.equal(served.destroyed, true);
});

test("an upgrade takes the connection and what came behind it, and has all the time it wants", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const takeOver: TakeOver = (socket, head) => {
    socket.write(head);
  };
  const service: HttpService = {
    ...echo,
    upgrade: ({ headers }) => (headers["upgrade"] === "x" ? takeOver : undefined),
  };
  const { client, served } = await openHttp(t, service);
  client.write(get("/", "Upgrade: y", "Connection: Upgrade"));
  const [answer] = (await once(client, "data")) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 OK/);
  client.write(`${get("/", "Upgrade: x", "Connection: Upgrade")}behind`);
  const [head] = (await once(client, "data")) as [Buffer];
  assert.equal(head.toString(), "behind");
  t.mock.timers.tick(60_000);
  assert.equal(served.destroyed, false);
});

test("a request that is refused upgrades nothing", async (t) => {
  const upgrade = (): never => assert.fail("it was refused");
  const two = get("/", "Host: b", "Upgrade: x", "Connection: Upgrade");
  assert.equal(await exchangeHttp(t, { ...echo, upgrade }, two), refused("400 Bad Request"));
});

test("CONNECT is answered, and ends the connection", async (t) => {
  const answer = await exchangeHttp(t, echo, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n\r\nCONNECT \/$/);
});
