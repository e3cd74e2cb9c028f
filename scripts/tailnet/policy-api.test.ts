import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type ErrorCode, KitError, renderError } from "../../relay/errors.ts";
import { type Answer, forever, hangUp, reply, startServer } from "../../relay/outbound/testing/servers.ts";
import {
  accessToken,
  apiKey,
  clientSecret,
  idToken,
  nameOf,
  type PolicyService,
  startPolicyService,
} from "../policy/testing/policy-service.ts";
import { type Credentials, readCredentials } from "./credentials.ts";
import { PolicyApi } from "./policy-api.ts";

function open(service: PolicyService, credentials: Credentials, tailnet = "-"): PolicyApi {
  const baseUrl = service.server.url;
  return new PolicyApi({
    baseUrl,
    tailnet,
    credentials,
    scope: "policy_file:read",
    timeoutMs: 10_000,
    env: {},
  });
}

function said(work: () => unknown, code: ErrorCode): string {
  try {
    work();
  } catch (error) {
    return shown(error, code);
  }
  return assert.fail("it did not fail");
}

async function failure(work: Promise<unknown>, code: ErrorCode): Promise<string> {
  return work.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => shown(error, code),
  );
}

function shown(error: unknown, code: ErrorCode): string {
  assert.ok(error instanceof KitError && error.code === code, String(error));
  assert.doesNotMatch(renderError(error), /CANARY/);
  return renderError(error);
}

test("an API key is shown as it is", async (t) => {
  const service = await startPolicyService(t, "{}");
  const api = open(service, readCredentials({ TS_API_KEY: `${apiKey}\n`, TS_OAUTH_CLIENT_ID: "k" }));
  assert.equal((await api.read(forever)).text, "{}");
  assert.deepEqual(service.asked(), ["GET acl"]);
});

test("an OAuth client gets one token, for no more than is needed", async (t) => {
  const service = await startPolicyService(t, "{}");
  const env = { TS_OAUTH_CLIENT_ID: "k", TS_OAUTH_CLIENT_SECRET: clientSecret };
  const api = open(service, readCredentials(env));
  await api.read(forever);
  await api.validate("{}", forever);
  assert.deepEqual(service.asked(), ["POST oauth/token", "GET acl", "POST acl/validate"]);
  const [login, look] = service.server.received;
  assert.deepEqual(Object.fromEntries(new URLSearchParams(login?.body)), {
    grant_type: "client_credentials",
    client_id: "k",
    client_secret: clientSecret,
    scope: "policy_file:read",
  });
  assert.equal(look?.headers.authorization, `Bearer ${accessToken}`);
});

test("an ID token is exchanged", async (t) => {
  const service = await startPolicyService(t, "{}");
  await open(service, readCredentials({ TS_OAUTH_CLIENT_ID: "k", TS_ID_TOKEN: idToken })).read(forever);
  const [exchange] = service.server.received;
  assert.equal(exchange?.url, "/api/v2/oauth/token-exchange");
  assert.deepEqual(Object.fromEntries(new URLSearchParams(exchange?.body)), { client_id: "k", jwt: idToken });
});

/** A job of GitHub Actions, and what gives it ID tokens. */
async function startActions(t: TestContext, answer: Answer) {
  const server = await startServer(t, answer);
  const env = {
    TS_OAUTH_CLIENT_ID: "k",
    ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url.href}token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "CANARY-request",
  };
  return { server, env };
}

test("in GitHub Actions the job's ID token is asked for and exchanged", async (t) => {
  const service = await startPolicyService(t, "{}");
  const { server, env } = await startActions(t, reply(200, JSON.stringify({ value: idToken })));
  await open(service, readCredentials(env)).read(forever);
  await open(service, readCredentials({ ...env, TS_AUDIENCE: "ours" })).read(forever);
  assert.deepEqual(
    server.received.map(({ url, headers }) => [url, headers.authorization]),
    [
      ["/token?api-version=2.0&audience=api.tailscale.com%2Fk", "Bearer CANARY-request"],
      ["/token?api-version=2.0&audience=ours", "Bearer CANARY-request"],
    ],
  );
  assert.match(service.server.received[0]?.body ?? "", /jwt=eyJ/);
});

test("a token that is not given is told, without what was asked with", async (t) => {
  for (const [answer, code, words] of [
    [reply(401, clientSecret), "tailnet-denied", /asked for the token, the API answers 401/i],
    [reply(400, clientSecret), "tailnet-denied", /answers 400/],
    [reply(403, clientSecret), "tailnet-denied", /scope policy_file:read/],
    [reply(429, "", { "Retry-After": "9" }), "tailnet-unreachable", /Try again in 9 s/],
    [reply(500), "tailnet-unreachable", /answers 500/],
    [reply(200, "{}"), "tailnet-unreachable", /the token is no token/i],
    [hangUp, "tailnet-unreachable", /no answer to POST \/api\/v2\/oauth\/token/],
  ] as const) {
    const service = await startPolicyService(t, "{}");
    service.fault = (request) => (nameOf(request) === "POST oauth/token" ? answer : undefined);
    const api = open(service, { kind: "client", clientId: "k", clientSecret });
    assert.match(await failure(api.read(forever), code), words);
    assert.deepEqual(service.asked(), ["POST oauth/token"]);
  }
  for (const answer of [reply(403, "CANARY-request"), reply(200, "{}"), reply(200, '{"value": "a b"}')]) {
    const service = await startPolicyService(t, "{}");
    const { env } = await startActions(t, answer);
    const words = await failure(open(service, readCredentials(env)).read(forever), "tailnet-credentials");
    assert.match(words, /id-token: write/);
  }
});

test("what cannot be credentials is refused before anybody is asked, and not shown", () => {
  assert.match(
    said(() => readCredentials({}), "tailnet-credentials"),
    /Set TS_API_KEY/,
  );
  assert.match(
    said(() => readCredentials({ TS_API_KEY: " " }), "tailnet-credentials"),
    /Set TS_API_KEY/,
  );
  assert.match(
    said(() => readCredentials({ TS_API_KEY: "CANARY\r\nX: y" }), "tailnet-credentials"),
    /^TS_API_KEY: /,
  );
  assert.match(
    said(() => readCredentials({ TS_OAUTH_CLIENT_ID: "k" }), "tailnet-credentials"),
    /TS_OAUTH_CLIENT_SECRET/,
  );
});

test("a tailnet's name goes into the path as one part of it", async (t) => {
  const service = await startPolicyService(t, "{}");
  const api = open(service, { kind: "key", key: apiKey }, "a/../b c");
  await failure(api.read(forever), "tailnet-denied");
  assert.equal(service.server.received[0]?.url, "/api/v2/tailnet/a%2F..%2Fb%20c/acl");
});

test("a policy that is no UTF-8 is not read, since it could not be written back", async (t) => {
  const service = await startPolicyService(t, "{}");
  service.fault = () => reply(200, Buffer.from([0x7b, 0x0a, 0x2f, 0x2f, 0xff, 0x0a, 0x7d]), { ETag: '"x"' });
  const read = open(service, { kind: "key", key: apiKey }).read(forever);
  assert.match(await failure(read, "policy-invalid"), /^tailnet policy:2:3: These bytes are no UTF-8/);
});

test("being stopped is no failure of the API", async (t) => {
  const service = await startPolicyService(t, "{}");
  const stop = new AbortController();
  service.fault = () => () => stop.abort("SIGINT");
  const read = open(service, { kind: "key", key: apiKey }).read(stop.signal);
  assert.equal(await read.catch((reason: unknown) => reason), "SIGINT");
});
