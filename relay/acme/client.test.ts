import assert from "node:assert/strict";
import { createHmac, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { buildCertificateRequest } from "../crypto/certificate-request.ts";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { KitError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import {
  type Answer,
  forever,
  garbage,
  hangUp,
  redirectTo,
  reply,
  startServer,
} from "../outbound/testing/servers.ts";
import { certificateId } from "./certificate-id.ts";
import {
  type AcmeClientOptions,
  createAcmeClient,
  type OfferedChallenge,
  type OrderRequest,
} from "./client.ts";
import { AcmeFailure } from "./failure.ts";
import { identify } from "./identifier.ts";
import { publicJwk, thumbprint } from "./jws.ts";
import {
  type FakeCa,
  issueChain,
  json,
  problem,
  problemDocument,
  startFakeCa,
  today,
} from "./testing/fake-ca.ts";

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const [accountKey, certificateKey] = [newKey(), newKey()];
const name = "a.example.net";

/** A client of a fake CA; what it waited for and what it offered, in order. */
async function start(t: TestContext, more: Partial<AcmeClientOptions> = {}) {
  const ca = await startFakeCa(t);
  const pauses: number[] = [];
  const client = createAcmeClient({
    directory: ca.directory,
    accountKey,
    email: "",
    agents: buildAgents({ env: {} }),
    userAgent: "derpkit-test/1",
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      pauses.push(ms);
    },
    now: () => today,
    ...more,
  });
  const offered: OfferedChallenge[] = [];
  const open = new Set<string>();
  const steps: string[] = [];
  const order = async (request: Partial<OrderRequest> = {}, names = [name], signal = forever) =>
    client.order(
      {
        identifiers: names.map(identify),
        methods: ["tls-alpn-01", "http-01"],
        csr: buildCertificateRequest({ names, privateKey: certificateKey }),
        answer: (challenge) => {
          offered.push(challenge);
          open.add(challenge.identifier.value);
          return { [Symbol.dispose]: () => void open.delete(challenge.identifier.value) };
        },
        step: (text) => void steps.push(text),
        ...request,
      },
      signal,
    );
  /** The failure of an order. */
  const fail = async (...wish: Parameters<typeof order>) => caught(order(...wish));
  return { ca, client, order, fail, pauses, offered, open, steps };
}

async function caught(promise: Promise<unknown>): Promise<AcmeFailure> {
  const error = await promise.then(
    () => assert.fail("it should fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AcmeFailure, String(error));
  return error;
}

const times = (count: number, answer: Answer) => Array.from({ length: count }, () => answer);
const paths = (ca: FakeCa) => ca.asked.map(({ method, path }) => `${method} ${path}`);

test("an order goes from the directory to a chain with the leaf first", async (t) => {
  const { ca, order, offered, open } = await start(t, { email: "ops@example.net" });
  const seen: string[] = [];
  ca.validate = (identifier, method) => {
    seen.push(`${method} ${open.has(identifier) ? "offered" : "missing"}`);
    return undefined;
  };
  const { chain } = await order({ profile: undefined });
  assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.ok(new X509Certificate(chain).checkPrivateKey(certificateKey));
  assert.deepEqual(paths(ca), [
    "GET /directory",
    "HEAD /nonce",
    "POST /account",
    "POST /order",
    "POST /authz/0",
    "POST /challenge/0/tls-alpn-01",
    "POST /authz/0",
    "POST /order/0",
    "POST /finalize/0",
    "POST /order/0",
    "POST /certificate/0",
  ]);
  assert.deepEqual(ca.at("/account")[0]?.payload, {
    termsOfServiceAgreed: true,
    contact: ["mailto:ops@example.net"],
  });
  assert.deepEqual(ca.at("/order")[0]?.payload, { identifiers: [{ type: "dns", value: name }] });
  assert.deepEqual(ca.at("/challenge/0/tls-alpn-01")[0]?.payload, {});
  assert.deepEqual(seen, ["tls-alpn-01 offered"]);
  assert.equal(open.size, 0);
  const token = "token-0";
  assert.deepEqual(offered, [
    {
      identifier: identify(name),
      method: "tls-alpn-01",
      token,
      keyAuthorization: `${token}.${thumbprint(publicJwk(accountKey))}`,
    },
  ]);
  assert.ok(ca.asked.every(({ headers }) => headers["user-agent"] === "derpkit-test/1"));
});

test("a second order of a client makes no account", async (t) => {
  const { ca, order } = await start(t);
  await order();
  await order();
  assert.equal(ca.at("/account").length, 1);
});

test("names and addresses go into one order; what is proved from before is not proved again", async (t) => {
  const { ca, order, offered, steps } = await start(t);
  ca.proved.add("192.0.2.1");
  const { chain } = await order({}, [name, "192.0.2.1", "2001:db8::1"]);
  assert.equal(
    new X509Certificate(chain).subjectAltName,
    `DNS:${name}, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1`,
  );
  assert.deepEqual(
    offered.map(({ identifier }) => identifier.value),
    [name, "2001:db8::1"],
  );
  assert.ok(steps.includes("192.0.2.1 is proved from before"));
});

test("the first method that the CA offers is used", async (t) => {
  const { ca, order, offered } = await start(t);
  ca.methods = ["dns-01", "http-01"];
  await order();
  assert.equal(offered[0]?.method, "http-01");
});

test("a CA that offers no proof of ours is told about", async (t) => {
  const { ca, fail, offered } = await start(t);
  ca.methods = ["dns-01"];
  const { kind, message } = await fail();
  assert.equal(kind, "method");
  assert.match(message, /cannot validate a\.example\.net \(method\): it offers dns-01/);
  assert.equal(offered.length, 0);
});

test("a profile goes into the order if the CA offers it, and else nothing is ordered", async (t) => {
  const { ca, order, fail } = await start(t);
  const none = await fail({ profile: "shortlived" });
  assert.equal(none.kind, "profile");
  assert.match(none.message, /has no profile shortlived \(profile\): it has no profiles/);
  ca.meta = { profiles: { classic: "90 days", shortlived: "6 days" } };
  const other = await fail({ profile: "longlived" });
  assert.match(other.message, /it offers classic, shortlived/);
  assert.equal(ca.at("/order").length, 0);
  await order({ profile: "shortlived" });
  assert.equal(ca.at("/order")[0]?.payload["profile"], "shortlived");
});

test("an external account is bound with its key", async (t) => {
  const key = Buffer.from("a MAC key of some CA");
  const { ca, order } = await start(t, { eab: { kid: "kid-1", key } });
  await order();
  const binding = ca.at("/account")[0]?.payload["externalAccountBinding"] as Record<string, string>;
  const { protected: header = "", payload = "", signature } = binding;
  assert.deepEqual(JSON.parse(Buffer.from(header, "base64url").toString()), {
    alg: "HS256",
    kid: "kid-1",
    url: new URL("/account", ca.directory).href,
  });
  assert.deepEqual(JSON.parse(Buffer.from(payload, "base64url").toString()), publicJwk(accountKey));
  assert.equal(signature, createHmac("sha256", key).update(`${header}.${payload}`).digest("base64url"));
});

test("an account that the CA wants bound, or does not want, says which options count", async (t) => {
  const { ca, fail } = await start(t);
  for (const [status, type, says] of [
    [403, "externalAccountRequired", /--acme-eab-kid and --acme-eab-key/],
    [403, "unauthorized", /--acme-eab-key/],
    [400, "malformed", /--acme-eab-key/],
    [400, "invalidContact", /Check --acme-email/],
  ] as const) {
    ca.instead("/account", problem(status, type, "no"));
    const { kind, message } = await fail();
    assert.equal(kind, "account", type);
    assert.match(message, says);
  }
});

test("an account that the CA lost is made anew, once", async (t) => {
  const { ca, order, fail } = await start(t);
  await order();
  ca.forgetAccounts();
  await order();
  assert.equal(ca.at("/account").length, 2);
  ca.instead("/order", ...times(2, problem(400, "accountDoesNotExist", "gone")));
  assert.equal((await fail()).kind, "account");
  assert.equal(ca.at("/account").length, 3);
});

test("a replaced certificate is named where the CA has renewal information", async (t) => {
  const { ca, order } = await start(t);
  await order({ replaces: "aki.serial" });
  assert.equal(ca.at("/order")[0]?.payload["replaces"], "aki.serial");
  ca.renewalInfo = undefined;
  await order({ replaces: "aki.serial" });
  assert.equal(ca.at("/order")[1]?.payload["replaces"], undefined);
});

test("where the replaced certificate can be what is wrong, the order is sent again without it", async (t) => {
  for (const [status, type] of [
    [409, "alreadyReplaced"],
    [404, "malformed"],
    [403, "unauthorized"],
    [500, "serverInternal"],
  ] as const) {
    const { ca, order, steps } = await start(t);
    ca.instead("/order", problem(status, type, "about that certificate"));
    await order({ replaces: "aki.serial" });
    assert.deepEqual(
      ca.at("/order").map(({ payload }) => payload["replaces"]),
      ["aki.serial", undefined],
      type,
    );
    assert.ok(steps.some((step) => step.includes("about that certificate")));
  }
});

test("what has nothing to do with the replaced certificate is not ordered again", async (t) => {
  const { ca, fail } = await start(t);
  for (const [status, type] of [
    [429, "rateLimited"],
    [400, "rejectedIdentifier"],
    [503, ""],
  ] as const) {
    ca.instead("/order", type === "" ? reply(status) : problem(status, type, "no"));
    await fail({ replaces: "aki.serial" });
  }
  assert.equal(ca.at("/order").length, 3);
});

test("nineteen refused nonces in a row cost nothing, twenty fail", async (t) => {
  const { ca, order, fail, pauses } = await start(t);
  const refusal = problem(400, "badNonce", "unknown nonce");
  ca.instead("/order", ...times(19, refusal));
  await order();
  assert.equal(ca.at("/order").length, 20);
  assert.deepEqual(
    pauses.filter((ms) => ms !== 250),
    [],
  );
  ca.instead("/order", ...times(20, refusal));
  assert.equal((await fail()).kind, "server");
});

test("no nonce, or one that is none, is an answer that is not ACME", async (t) => {
  const { ca, fail } = await start(t);
  ca.instead("/nonce", reply(200), reply(200, "", { "Replay-Nonce": "no base64url!" }));
  for (const _ of [1, 2]) assert.equal((await fail()).kind, "answer");
});

test("what only reads is asked up to four times", async (t) => {
  const { ca, order, fail, pauses } = await start(t);
  ca.instead("/directory", reply(500), hangUp, reply(502, "<html>"));
  ca.instead("/nonce", hangUp);
  ca.instead("/account", problem(500, "serverInternal", "oops"));
  ca.instead("/authz/0", reply(500), hangUp);
  ca.instead("/certificate/0", garbage);
  await order();
  assert.deepEqual(pauses.slice(0, 3), [250, 1_000, 4_000]);
  ca.instead("/directory", ...times(4, reply(503)));
  assert.equal((await fail()).kind, "server");
  ca.instead("/directory", ...times(4, hangUp));
  const { kind, message } = await fail();
  assert.equal(kind, "unreachable");
  assert.match(message, /did not give its directory \(unreachable\): .*Check that this machine can open/);
});

test("a CA whose TLS certificate is not trusted is asked once, and --acme-ca is named", async (t) => {
  const { certificatePem, keyPem } = createSelfSigned({
    hostName: "127.0.0.1",
    ...pinnedValidity(new Date()),
  });
  const server = createServer({ cert: certificatePem, key: keyPem }, () => assert.fail("it is asked"));
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const { fail, pauses } = await start(t, { directory: new URL(`https://127.0.0.1:${port}/directory`) });
  const { kind, message } = await fail();
  assert.equal(kind, "unreachable");
  assert.match(message, /not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)\. .*--acme-ca/);
  assert.deepEqual(pauses, []);
});

test("an answer that breaks off is no answer", async (t) => {
  const { ca, order } = await start(t);
  ca.instead("/directory", (response) => {
    response.writeHead(200, { "Content-Length": "100" });
    response.write("{", () => response.socket?.destroy());
  });
  await order();
  assert.equal(ca.at("/directory").length, 2);
});

test("an order is sent once, whatever happens to it", async (t) => {
  const { ca, fail } = await start(t);
  for (const [answer, kind] of [
    [reply(500), "server"],
    [hangUp, "unreachable"],
  ] as const) {
    ca.instead("/order", answer);
    assert.equal((await fail()).kind, kind);
  }
  assert.equal(ca.at("/order").length, 2);
});

test("a lost answer to the last request does not lose the certificate", async (t) => {
  const { ca, order } = await start(t);
  const issue = ca.issue;
  ca.issue = (publicKey, names) => {
    ca.instead("/order/0", hangUp); // And the first look fails as well.
    return issue(publicKey, names);
  };
  ca.lose("/finalize/0");
  ca.lose("/challenge/0/tls-alpn-01");
  assert.match((await order()).chain, /BEGIN CERTIFICATE/);
  for (const path of ["/finalize/0", "/challenge/0/tls-alpn-01"]) assert.equal(ca.at(path).length, 1);
});

test("a last request that was not heard fails with what happened to it", async (t) => {
  const { ca, fail, open } = await start(t);
  ca.instead("/challenge/0/tls-alpn-01", hangUp);
  assert.equal((await fail()).kind, "unreachable");
  assert.equal(open.size, 0);
  ca.instead("/finalize/1", reply(500));
  assert.equal((await fail()).kind, "server");
});

test("a short Retry-After is waited for, a long one is for the caller", async (t) => {
  for (const [status, type] of [
    [429, "rateLimited"],
    [503, "serverInternal"],
  ] as const) {
    const { ca, order, fail, pauses } = await start(t);
    ca.instead("/order", problem(status, type, "busy", { "Retry-After": "30" }));
    await order();
    assert.equal(pauses[0], 30_000);
    ca.instead("/order", problem(status, type, "busy", { "Retry-After": "31" }));
    const { retryAfterMs, message } = await fail();
    assert.equal(retryAfterMs, 31_000);
    assert.match(message, /It may be asked again at 2026-06-01T12:00:31Z\./);
    ca.instead("/directory", reply(503, "", { "Retry-After": "3600" }));
    assert.equal((await fail()).retryAfterMs, 3_600_000);
    assert.equal(pauses.filter((ms) => ms > 30_000).length, 0);
  }
});

test("polling follows the CA's Retry-After, and else waits a little longer each time", async (t) => {
  const { ca, order, pauses } = await start(t);
  const pending = (headers = {}) =>
    json(200, { identifier: { type: "dns", value: name }, status: "pending", challenges: [] }, headers);
  ca.validate = () => {
    ca.instead("/authz/0", pending(), pending({ "Retry-After": "7" }), pending({ "Retry-After": "0" }));
    return undefined;
  };
  await order();
  assert.deepEqual(pauses.slice(0, 4), [250, 375, 7_000, 250]);
});

test("answers that are not ACME are told by what is wrong with them, and end the order", async (t) => {
  const order = { status: "pending", authorizations: [], finalize: "https://ca.example/f" };
  for (const [path, answer, says] of [
    ["/directory", reply(200, "<html>"), /the whole/],
    ["/directory", reply(200, "[]"), /newNonce/],
    ["/directory", json(200, { newNonce: 1 }), /newNonce/],
    ["/directory", json(200, { newNonce: "nonce" }), /newNonce/],
    ["/directory", reply(200, "x".repeat(65_537)), /longer than 65536 bytes/],
    ["/directory", reply(404, "not here"), /404/],
    ["/account", json(201, {}), /does not say where/],
    ["/order", json(201, order), /does not say where/],
    ["/order", json(201, { ...order, status: "odd" }, { Location: "/order/0" }), /status/],
    ["/order", json(201, { ...order, finalize: "javascript" }, { Location: "/order/0" }), /finalize/],
    ["/authz/0", json(200, { identifier: { type: "dns", value: name }, status: "valid" }), /challenges/],
    [
      "/authz/0",
      json(200, { identifier: { type: "dns", value: "b.example" }, status: "valid", challenges: [] }),
      /b\.example, which was not ordered/,
    ],
    [
      "/authz/0",
      json(200, {
        identifier: { type: "dns", value: name },
        status: "revoked",
        challenges: [{ type: "http-01", url: "https://ca.example/c", token: "t" }],
      }),
      /revoked/,
    ],
    [
      "/authz/0",
      json(200, {
        identifier: { type: "dns", value: name },
        status: "pending",
        challenges: [{ type: "http-01", url: "https://ca.example/c", token: "../../etc" }],
      }),
      /token/,
    ],
    ["/certificate/0", reply(200, "x".repeat(1_048_577)), /longer than 1048576 bytes/],
    ["/certificate/0", reply(200, "no PEM"), /no chain/],
  ] as const) {
    const { ca, fail, open } = await start(t);
    ca.instead(path, answer);
    const { kind, message } = await fail();
    assert.equal(kind, "answer", message);
    assert.match(message, says);
    assert.equal(open.size, 0);
  }
});

test("redirects are not followed", async (t) => {
  const elsewhere = await startServer(t, reply(200));
  const { ca, fail } = await start(t);
  for (const path of ["/directory", "/nonce", "/account", "/order"]) {
    ca.instead(path, redirectTo(elsewhere.url.href));
    const { kind, message } = await fail();
    assert.equal(kind, "answer");
    assert.match(message, /answers 307 to http:/);
  }
  assert.equal(elsewhere.received.length, 0);
});

test("a URL without TLS at another host is not asked", async (t) => {
  const elsewhere = await startServer(t, reply(200));
  const { ca, fail } = await start(t);
  const { href, origin } = elsewhere.url;
  const own = ca.directory.origin;
  ca.instead("/directory", json(200, { newNonce: href, newAccount: href, newOrder: href }));
  assert.match((await fail()).message, /is not https/);
  ca.instead(
    "/order",
    json(
      201,
      { status: "pending", authorizations: [`${origin}/authz`], finalize: `${own}/f` },
      { Location: `${own}/order/0` },
    ),
  );
  assert.match((await fail()).message, /is not https/);
  ca.instead(
    "/order",
    json(
      201,
      { status: "pending", authorizations: ["file:///etc/passwd"], finalize: `${own}/f` },
      { Location: `${own}/order/0` },
    ),
  );
  assert.match((await fail()).message, /is not https/);
  assert.equal(elsewhere.received.length, 0);
});

test("a proof that the CA did not see says what it said, about which name, and what to do", async (t) => {
  const { ca, fail, open, offered } = await start(t);
  ca.meta = { caaIdentities: ["ca.example"] };
  for (const [type, method, says] of [
    ["dns", "tls-alpn-01", /A or AAAA record of a\.example\.net points at this machine/],
    ["connection", "tls-alpn-01", /reach TCP 443 of a\.example\.net from the Internet/],
    ["connection", "http-01", /reach TCP 80 of a\.example\.net from the Internet/],
    ["tls", "tls-alpn-01", /no proxy stands in front/],
    ["unauthorized", "http-01", /meet this relay on TCP 80/],
    ["caa", "tls-alpn-01", /add `a\.example\.net CAA 0 issue "ca\.example; validationmethods=tls-alpn-01"`/],
  ] as const) {
    ca.validate = () => problemDocument(type, "so it is");
    const { kind, message, reason, identifier } = await fail({ methods: [method] });
    assert.equal(kind, type);
    assert.match(
      message,
      new RegExp(`did not validate a\\.example\\.net by ${method} \\(${type}\\): it says “so it is”\\. `),
    );
    assert.match(message, says);
    assert.equal(reason, "it says “so it is”");
    assert.deepEqual(identifier, identify(name));
    assert.equal(open.size, 0);
  }
  assert.equal(offered.length, 6);
});

test("a refusal after the proofs is the CA's, not the proof's", async (t) => {
  const { ca, fail } = await start(t);
  ca.instead("/finalize/0", problem(403, "unauthorized", "CSR has other names"));
  assert.equal((await fail()).kind, "malformed");
  ca.instead("/finalize/1", problem(403, "caa", "CAA says no"));
  assert.equal((await fail()).kind, "caa");
});

test("a chain that is not what was ordered is not handed on", async (t) => {
  const { ca, fail } = await start(t);
  const dayMs = 86_400_000;
  const other = newKey();
  const otherKey = readKey(other);
  for (const [issue, says] of [
    [
      (publicKey: Uint8Array) => issueChain({ publicKey, names: ["b.example.net"] }),
      /not valid for a\.example\.net/,
    ],
    [() => issueChain({ publicKey: otherKey, names: [name] }), /another key/],
    [
      (publicKey: Uint8Array) => issueChain({ publicKey, names: [name], notBefore: today + 2 * dayMs }),
      /from 2026-06-03/,
    ],
    [
      (publicKey: Uint8Array) =>
        issueChain({ publicKey, names: [name], notAfter: today - 2 * dayMs, notBefore: today - 9 * dayMs }),
      /ended at 2026-05-30/,
    ],
  ] as const) {
    ca.issue = issue;
    const { kind, message } = await fail();
    assert.equal(kind, "answer");
    assert.match(message, says);
  }
});

test("an answer that cannot be made available fails the order with what went wrong", async (t) => {
  const { ca, order } = await start(t);
  const answer = () => Promise.reject(new Error("port 80 is taken"));
  await assert.rejects(order({ answer }), { message: "port 80 is taken" });
  assert.equal(ca.at("/challenge/0/tls-alpn-01").length, 0);
});

test("an order that is called off ends with the reason, and nothing stays offered", async (t) => {
  const stop = new AbortController();
  const { ca, order, open } = await start(t);
  ca.validate = () => {
    stop.abort(new Error("the relay stops"));
    return undefined;
  };
  await assert.rejects(order({}, [name], stop.signal), { message: "the relay stops" });
  assert.equal(open.size, 0);
  const asked = ca.asked.length;
  await assert.rejects(order({}, [name], stop.signal), { message: "the relay stops" });
  assert.equal(ca.asked.length, asked);
});

test("an order that takes too long ends, and nothing stays offered", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { fail, open } = await start(t, {
    sleep: async (_, signal) => {
      t.mock.timers.tick(180_000);
      signal.throwIfAborted();
    },
  });
  const { kind, message } = await fail();
  assert.equal(kind, "timeout");
  assert.match(
    message,
    /did not issue a certificate for a\.example\.net \(timeout\): it was not done within 180 s/,
  );
  assert.equal(open.size, 0);
});

test("renewal information is a window and when to ask again", async (t) => {
  const { ca, client } = await start(t);
  const id = certificateId(issueChain({ publicKey: readKey(certificateKey), names: [name] }));
  assert.equal(id, "ZmFrZQ.AIdl");
  const suggestedWindow = { start: "2026-06-02T00:00:00Z", end: "2026-06-03T01:00:00.123456789+01:00" };
  ca.renewalInfo = { suggestedWindow, explanationURL: "https://ca.example/why" };
  assert.deepEqual(await client.renewalInfo(id, forever), {
    start: new Date("2026-06-02T00:00:00Z"),
    end: new Date("2026-06-03T00:00:00.123Z"),
    retryAfterMs: 6 * 3_600_000,
    explanationUrl: "https://ca.example/why",
  });
  assert.deepEqual(paths(ca), ["GET /directory", "GET /renewal/ZmFrZQ.AIdl"]);
  for (const [header, ms] of [
    ["1", 60_000],
    ["600", 600_000],
    ["9999999", 86_400_000],
    ["Mon, 01 Jun 2026 13:00:00 GMT", 3_600_000],
    ["soon", 6 * 3_600_000],
  ] as const) {
    ca.instead(`/renewal/${id}`, json(200, { suggestedWindow }, { "Retry-After": header }));
    assert.equal((await client.renewalInfo(id, forever))?.retryAfterMs, ms, header);
  }
});

test("a CA without renewal information, or that does not know the certificate, tells nothing", async (t) => {
  const { ca, client } = await start(t);
  for (const status of [400, 404]) {
    ca.instead("/renewal/a.b", problem(status, "malformed", "unknown"));
    assert.equal(await client.renewalInfo("a.b", forever), undefined);
  }
  ca.renewalInfo = undefined;
  assert.equal(await client.renewalInfo("a.b", forever), undefined);
});

test("renewal information that makes no sense is a failure", async (t) => {
  const { ca, client } = await start(t);
  for (const suggestedWindow of [
    undefined,
    { start: "2026-06-02T00:00:00Z" },
    { start: "2026-06-02T00:00:00Z", end: "2026-06-02T00:00:00Z" },
    { start: "2026-06-03T00:00:00Z", end: "2026-06-02T00:00:00Z" },
    { start: "yesterday", end: "tomorrow" },
    { start: 1, end: 2 },
  ]) {
    ca.renewalInfo = { suggestedWindow };
    assert.equal((await caught(client.renewalInfo("a.b", forever))).kind, "answer");
  }
});

test("a directory without TLS is for this machine and its own network", () => {
  const make = (url: string) =>
    createAcmeClient({
      directory: new URL(url),
      accountKey,
      email: "",
      agents: buildAgents({ env: {} }),
      userAgent: "",
      sleep: () => Promise.resolve(),
      now: () => today,
    });
  for (const host of [
    "localhost",
    "127.0.0.1:1",
    "[::1]",
    "10.0.0.1",
    "172.31.0.1",
    "192.168.1.1",
    "[fd00::1]",
  ]) {
    make(`http://${host}/directory`);
  }
  for (const url of [
    "http://ca.example/",
    "http://192.0.2.1/",
    "http://172.32.0.1/",
    "http://[2001:db8::1]/",
    "ftp://127.0.0.1/",
  ]) {
    assert.throws(
      () => make(url),
      (error) => error instanceof KitError && error.code === "config-invalid",
      url,
    );
  }
  make("https://ca.example/directory");
});

test("an account's key is EC P-256", async (t) => {
  for (const key of [
    generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
    generateKeyPairSync("ed25519").privateKey,
  ]) {
    await assert.rejects(start(t, { accountKey: key }), TypeError);
  }
});

function readKey(key: ReturnType<typeof newKey>): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}
