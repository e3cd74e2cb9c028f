import assert from "node:assert/strict";
import { once } from "node:events";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { clientPublic } from "../testing/vectors.ts";
import { TimeLimit } from "./failure.ts";
import { defaultTailscaledSocket, LocalTailscaled } from "./local-tailscaled.ts";
import {
  type Answer,
  applicant,
  forever,
  garbage,
  hangUp,
  redirectTo,
  reply,
  silence,
  startServer,
  type TestServer,
} from "./testing/servers.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

interface Stage {
  readonly server: TestServer;
  readonly check: () => Promise<Verdict>;
}

/** A LocalAPI whose tailscaled runs and answers WhoIs so. */
async function stage(t: TestContext, whois: Answer, status = running("Running")): Promise<Stage> {
  const socketPath = path.join(temporaryFolder(t), "tailscaled.sock");
  const answer: Answer = (response, request) =>
    (request.url.startsWith("/localapi/v0/whois?") ? whois : status)(response, request);
  const server = await startServer(t, answer, socketPath);
  const mode = new LocalTailscaled(socketPath);
  return { server, check: async () => mode.check(applicant(clientPublic), forever) };
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
