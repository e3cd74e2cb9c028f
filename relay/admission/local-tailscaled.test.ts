import assert from "node:assert/strict";
import { once } from "node:events";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { renderNodeKey } from "../crypto/keys.ts";
import { clientPublic } from "../testing/vectors.ts";
import { TimeLimit } from "../outbound/failure.ts";
import { defaultTailscaledSocket, LocalTailscaled } from "./local-tailscaled.ts";
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
  type TestServer,
} from "../outbound/testing/servers.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

interface Stage {
  readonly server: TestServer;
  readonly mode: LocalTailscaled;
  readonly check: () => Promise<Verdict>;
}

/** A LocalAPI whose tailscaled runs and answers WhoIs so. */
async function stage(t: TestContext, whois: Answer, status = running("Running")): Promise<Stage> {
  const socketPath = path.join(temporaryFolder(t), "tailscaled.sock");
  const answer: Answer = (response, request) =>
    (request.url.startsWith("/localapi/v0/whois?") ? whois : status)(response, request);
  const server = await startServer(t, answer, socketPath);
  const mode = new LocalTailscaled(socketPath);
  return { server, mode, check: async () => mode.check(applicant(clientPublic), forever) };
}

function running(state: string): Answer {
  return reply(200, JSON.stringify({ Version: "1.103.0", BackendState: state }));
}

const stranger = reply(404, "no match for IP:port");

test(
  "95. Given `-verify-clients` and WhoIs 200 / 404 / 500 / socket missing, then accept / reject / reject / reject; " +
    "request path and Host as in 8.2.",
  async (t) => {
    const known = await stage(t, reply(200, '{"Node":{},"UserProfile":{}}'));
    assert.deepEqual(await known.check(), allow);
    const [{ method, url, headers, body } = assert.fail()] = known.server.received;
    const hex = "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";
    assert.deepEqual([method, url, body], ["GET", `/localapi/v0/whois?addr=nodekey%3A${hex}`, ""]);
    assert.equal(headers.host, "local-tailscaled.sock");
    assert.match(String(headers["tailscale-cap"]), /^\d+$/);
    assert.deepEqual(await (await stage(t, stranger)).check(), deny("tailscaled does not know the key"));
    assert.deepEqual(await (await stage(t, reply(500))).check(), unknown("tailscaled answers 500", "answer"));
    const missing = new LocalTailscaled(path.join(temporaryFolder(t), "none.sock"));
    await assert.rejects(missing.check(applicant(), forever), /ENOENT/);
  },
);

test("a tailscaled that is not running denies nobody, though it says 404 to all", async (t) => {
  for (const state of ["NoState", "Starting", "Stopped", "NeedsLogin"]) {
    const { check } = await stage(t, stranger, running(state));
    assert.deepEqual(await check(), unknown(`tailscaled is not running: ${state}`, "not_running"));
  }
  for (const status of [reply(403), reply(200, "null"), reply(200, "{"), reply(200, '{"BackendState":1}')]) {
    assert.equal((await (await stage(t, stranger, status)).check()).kind, "unknown");
  }
  const { check } = await stage(t, stranger, hangUp);
  await assert.rejects(check());
});

test("what tailscaled says of its state reaches the log only if it is one word", async (t) => {
  const { check } = await stage(t, stranger, running("Stopped\nforged line"));
  assert.deepEqual(await check(), unknown("tailscaled does not tell its state: its status is 200", "answer"));
});

test("a tailscaled that cannot look up keys is called too old", async (t) => {
  const { check } = await stage(t, reply(400, "invalid 'addr' parameter: bad address\n"));
  assert.deepEqual(await check(), unknown("tailscaled is too old to look up a key", "answer"));
});

test("neither a redirect nor an answer that is no HTTP counts as one", async (t) => {
  const { check } = await stage(t, redirectTo("http://local-tailscaled.sock/localapi/v0/whois?"));
  assert.deepEqual(await check(), unknown("tailscaled answers 307", "answer"));
  for (const answer of [hangUp, garbage]) {
    await assert.rejects((await stage(t, answer)).check());
  }
});

/** The status of a tailscaled whose own node has this key. */
function self(publicKey: unknown, state = "Running"): Answer {
  return reply(200, JSON.stringify({ BackendState: state, Self: { PublicKey: publicKey } }));
}

const ownKey = renderNodeKey(clientPublic);

test("a tailscaled that knows its own node has no problem", async (t) => {
  const { server, mode } = await stage(t, reply(200, "{}"), self(ownKey));
  assert.equal(await mode.findProblem(forever), undefined);
  assert.deepEqual(
    server.received.map(({ url, headers }) => [url, headers.host]),
    ["status?peers=false", `whois?addr=${encodeURIComponent(ownKey)}`].map((asked) => [
      `/localapi/v0/${asked}`,
      "local-tailscaled.sock",
    ]),
  );
});

test("a tailscaled that does not know its own node is an old one: the problem says what that means", async (t) => {
  const { mode } = await stage(t, stranger, self(ownKey));
  const problem = (await mode.findProblem(forever)) ?? assert.fail();
  assert.match(problem, /^tailscaled does not know its own node \[ST6C\/\], .* around 1\.84 .*16052/);
  assert.match(problem, /this machine cannot use this relay .*updated; other nodes are not affected$/);
});

test("a tailscaled that does not run, does not tell, fails or is not there is a problem, too", async (t) => {
  const cases: readonly (readonly [whois: Answer, status: Answer, problem: RegExp])[] = [
    [stranger, self(ownKey, "NeedsLogin"), /^tailscaled is not running: NeedsLogin$/],
    [stranger, self("nodekey:7"), /^tailscaled does not tell its own node key$/],
    [stranger, running("Running"), /^tailscaled does not tell its own node key$/],
    [stranger, reply(403), /^tailscaled does not tell its state: its status is 403$/],
    [reply(500), self(ownKey), /^tailscaled answers 500$/],
    [reply(400, "invalid 'addr' parameter\n"), self(ownKey), /^tailscaled is too old to look up a key$/],
    [hangUp, self(ownKey), /^tailscaled cannot be asked: /],
  ];
  for (const [whois, status, problem] of cases) {
    const { mode } = await stage(t, whois, status);
    assert.match((await mode.findProblem(forever)) ?? "none", problem);
  }
  const missing = new LocalTailscaled(path.join(temporaryFolder(t), "none.sock"));
  assert.match((await missing.findProblem(forever)) ?? "none", /^tailscaled cannot be asked: connect ENOENT/);
});

test("a tailscaled that says nothing of itself is waited for 5 s", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { server, mode } = await stage(t, stranger, silence);
  const problem = mode.findProblem(forever);
  await once(server.server, "answered");
  t.mock.timers.tick(5_000);
  assert.equal(await problem, "tailscaled cannot be asked: no answer within 5 s");
});

test("a tailscaled that says nothing is waited for 5 s in all", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const [whois, status, questions] of [
    [silence, silence, 1],
    [stranger, silence, 2],
  ] as const) {
    const { server, check } = await stage(t, whois, status);
    const checked = assert.rejects(check(), new TimeLimit(5_000));
    for (let question = 0; question < questions; question++) await once(server.server, "answered");
    t.mock.timers.tick(5_000);
    await checked;
  }
});

test("the socket is where tailscaled puts it", () => {
  assert.equal(defaultTailscaledSocket("linux"), "/var/run/tailscale/tailscaled.sock");
  assert.equal(defaultTailscaledSocket("darwin"), "/var/run/tailscaled.socket");
});
