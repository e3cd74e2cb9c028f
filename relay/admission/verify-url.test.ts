import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import fc from "fast-check";
import { clientPublic } from "../testing/vectors.ts";
import { applicant } from "./testing/applicants.ts";
import {
  type Answer,
  forever,
  garbage,
  hangUp,
  redirectTo,
  reply,
  silence,
  startServer,
  stopServer,
} from "../outbound/testing/servers.ts";
import { admits, allow, deny, unknown, type Verdict } from "./verdict.ts";
import { parseAnswer, renderQuestion, VerifyUrl } from "./verify-url.ts";

const yes = '{"Allow":true}';

async function check(url: URL, failOpen: boolean): Promise<Verdict> {
  return new VerifyUrl({ url, failOpen, env: {} }).check(applicant(clientPublic), forever);
}

test(
  '96. Given `-verify-client-url` answering `{"Allow":true}`, `{"Allow":false}`, `{}`, 403, invalid JSON, ' +
    "then accept, reject × 4 even with fail-open.",
  async (t) => {
    const server = await startServer(t, reply(200, yes));
    for (const failOpen of [true, false]) {
      server.answer = reply(200, yes);
      assert.deepEqual(await check(server.url, failOpen), allow);
      server.answer = reply(200, '{"Allow":false}');
      assert.deepEqual(await check(server.url, failOpen), deny("the verify URL does not allow the key"));
      for (const answer of [reply(200, "{}"), reply(403, yes), reply(200, "<html>")]) {
        server.answer = answer;
        const verdict = await check(server.url, failOpen);
        assert.deepEqual([verdict.kind, admits(verdict)], ["unknown", false]);
      }
    }
  },
);

test("97. Given that URL unreachable or slower than 5 s, then accept with fail-open (default), reject without.", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const server = await startServer(t, silence);
  for (const failOpen of [true, false]) {
    const slow = check(server.url, failOpen);
    await once(server.server, "answered");
    t.mock.timers.tick(5_000);
    const reason = "no answer within 5 s";
    assert.deepEqual(
      await slow,
      failOpen ? { ...unknown(reason, "timeout"), failOpen } : unknown(reason, "timeout"),
    );
  }
  stopServer(server.server);
  assert.equal(admits(await check(server.url, true)), true);
  assert.equal(admits(await check(server.url, false)), false);
  const nowhere = new URL("http://verify.example.invalid/");
  assert.equal(admits(await check(nowhere, true)), true);
  assert.equal(admits(await check(nowhere, false)), false);
});

test("the question is what derper asks", async (t) => {
  const server = await startServer(t, reply(200, yes));
  await check(new URL("/verify?x=1", server.url), false);
  const [{ method, url, body } = assert.fail()] = server.received;
  assert.deepEqual([method, url], ["POST", "/verify?x=1"]);
  assert.equal(
    body,
    '{"NodePublic":"nodekey:493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d","Source":"192.0.2.1"}',
  );
  assert.match(renderQuestion(applicant(clientPublic, "")), /,"Source":""\}$/);
});

test("a connection that breaks before the head of an answer is covered by fail-open, one after it is not", async (t) => {
  const server = await startServer(t, hangUp);
  for (const [answer, open] of [
    [hangUp, true],
    [garbage, true],
    [half(""), false],
    [half('{"Allow":'), false],
  ] as const) {
    server.answer = answer;
    assert.equal(admits(await check(server.url, true)), open);
    assert.equal(admits(await check(server.url, false)), false);
  }
  server.answer = half(yes);
  assert.deepEqual(await check(server.url, false), allow, "the answer was complete, as Go's decoder sees it");
});

/** Announces a long body and closes after its start. */
function half(body: string): Answer {
  return (response) => {
    response.writeHead(200, { "Content-Length": "1000" });
    response.flushHeaders();
    response.write(`${body} `, () => response.socket?.end());
  };
}

test("a body that never ends is cut off after 4,096 bytes, and its first value counts", async (t) => {
  const server = await startServer(t, reply(200, yes.padEnd(1_000_000)));
  assert.deepEqual(await check(server.url, false), allow);
  server.answer = reply(200, yes.padStart(4_096));
  assert.deepEqual(await check(server.url, false), allow);
  server.answer = reply(200, yes.padStart(4_097));
  assert.equal((await check(server.url, true)).kind, "unknown");
});

test("307 and 308 repeat the question elsewhere, other redirects ask there without it", async (t) => {
  const server = await startServer(t, silence);
  for (const [status, method] of [
    [307, "POST"],
    [308, "POST"],
    [301, "GET"],
    [302, "GET"],
    [303, "GET"],
  ] as const) {
    server.answer = (response, request) =>
      (request.url === "/there" ? reply(200, yes) : redirectTo("there", status))(response, request);
    assert.deepEqual(await check(server.url, false), allow);
    const { url, method: asked, body, headers } = server.received.at(-1) ?? assert.fail();
    assert.deepEqual([url, asked, body !== ""], ["/there", method, method === "POST"]);
    assert.equal(headers["content-type"], method === "POST" ? "application/json" : undefined);
  }
});

test("the eleventh redirect, or one to no web address, is a request that could not be completed", async (t) => {
  const server = await startServer(t, silence);
  server.answer = follow(10);
  assert.deepEqual(await check(server.url, false), allow);
  for (const failOpen of [true, false]) {
    for (const answer of [follow(11), redirectTo("ftp://192.0.2.1/"), redirectTo("http://[")]) {
      server.answer = answer;
      assert.equal(admits(await check(server.url, failOpen)), failOpen);
    }
  }
});

/** Redirects so often, then says yes. */
function follow(times: number): Answer {
  let left = times;
  return (response, request) => (left-- > 0 ? redirectTo("/") : reply(200, yes))(response, request);
}

test("a redirect without an address is an answer, and a bad one", async (t) => {
  const server = await startServer(t, reply(302, yes));
  assert.equal(admits(await check(server.url, true)), false);
});

test("the last of several answers counts, in whatever case, and what follows the first value is not read", () => {
  for (const text of [
    yes,
    ' \n{"allow":true}',
    '{"ALLOW":true,"Reason":"a } in \\" text"}',
    `${yes}garbage`,
    `${yes}{"Allow":false}`,
    '{"Allow":false,"Allow":true}',
    '{"Allow":false,"allow":true,"Allow":null}',
  ]) {
    assert.equal(parseAnswer(Buffer.from(text)), true, text);
  }
});

test("a wrong type, even of an answer that does not count, or no object is neither yes nor no", () => {
  for (const text of [
    "",
    "null",
    "true",
    "[]",
    `[${yes}]`,
    `"${yes}"`,
    '{"Allow":"true"}',
    '{"Allow":1}',
    '{"Allow":null}',
    '{"Allow":{"Allow":true}}',
    '{"Reason":{"Allow":true}}',
    '{"Allow":"false","Allow":true}',
    '{"Allow":true',
    `\uFEFF${yes}`,
    `}${yes}`,
  ]) {
    assert.equal(parseAnswer(Buffer.from(text)), undefined, text);
  }
});

test("any bytes are yes, no or neither, never an exception, and yes only where they say so", () => {
  const piece = fc.oneof(
    fc.constantFrom("{", "}", '"', "\\", "Allow", ":", "true", "false", ","),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join("");
      if (parseAnswer(Buffer.from(text)) === true) assert.match(text, /"\s*:\s*true/);
    }),
  );
  fc.assert(fc.property(fc.uint8Array(), (bytes) => parseAnswer(Buffer.from(bytes)) !== true));
});

test("a document is read the same whatever other fields and trailing bytes it has", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.string(),
      (answer, others, tail) => {
        const fields = Object.entries(others).filter(([name]) => name.toLowerCase() !== "allow");
        const text = JSON.stringify(Object.fromEntries([...fields, ["Allow", answer]]));
        assert.equal(parseAnswer(Buffer.from(text + tail)), answer);
      },
    ),
  );
});
