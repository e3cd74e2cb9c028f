import assert from "node:assert/strict";
import test from "node:test";
import { acmeFailureKinds } from "./failure.ts";
import { identify } from "./identifier.ts";
import { type Circumstances, cleanText, failureOfProblem, parseProblem } from "./problem.ts";
import type { Task } from "./task.ts";
import { problemDocument } from "./testing/fake-ca.ts";

const now = Date.parse("2026-01-02T03:00:00Z");
const task: Task = { text: "took no order for a.example", phase: "order" };

function fail(document: unknown, more: Partial<Circumstances> = {}) {
  const circumstances = { authority: { host: "ca.example" }, task, status: 400, now, ...more };
  return failureOfProblem(parseProblem(document), circumstances);
}

test("each of RFC 8555's types has a kind, and each kind says what to do", () => {
  for (const [type, kind] of Object.entries({
    accountDoesNotExist: "account",
    alreadyReplaced: "replaced",
    badCSR: "malformed",
    badNonce: "server",
    badPublicKey: "account",
    badSignatureAlgorithm: "account",
    caa: "caa",
    connection: "connection",
    dns: "dns",
    externalAccountRequired: "account",
    incorrectResponse: "unauthorized",
    invalidContact: "account",
    invalidProfile: "profile",
    malformed: "malformed",
    orderNotReady: "malformed",
    rateLimited: "rate-limited",
    rejectedIdentifier: "refused",
    serverInternal: "server",
    tls: "tls",
    unauthorized: "account",
    unsupportedContact: "account",
    unsupportedIdentifier: "refused",
    userActionRequired: "account",
  })) {
    const failure = fail(problemDocument(type, "it is so."));
    assert.equal(failure.kind, kind, type);
    assert.equal(failure.problemType, type);
    const start = `The CA ca.example took no order for a.example (${kind}): it says “it is so”. `;
    assert.ok(failure.message.startsWith(start), failure.message);
    assert.ok(/^[A-Z].*\.$/.test(failure.message.slice(start.length)), failure.message);
    assert.ok(acmeFailureKinds.includes(failure.kind));
  }
});

test("kinds are words that a metric's label can be", () => {
  assert.ok(acmeFailureKinds.every((kind) => /^[a-z]+(-[a-z]+)?$/.test(kind)));
  assert.equal(new Set(acmeFailureKinds).size, acmeFailureKinds.length);
});

test("what the same word means depends on what was asked", () => {
  const kind = (phase: Task["phase"], type: string) =>
    fail(problemDocument(type, ""), { task: { ...task, phase } }).kind;
  assert.equal(kind("account", "malformed"), "account");
  assert.equal(kind("account", "unauthorized"), "account");
  assert.equal(kind("order", "unauthorized"), "account");
  assert.equal(kind("validation", "unauthorized"), "unauthorized");
  assert.equal(kind("validation", "malformed"), "unauthorized");
  assert.equal(kind("issuance", "unauthorized"), "malformed");
});

test("without a type the status decides", () => {
  for (const [status, kind] of [
    [429, "rate-limited"],
    [500, "server"],
    [503, "server"],
    [400, "answer"],
    [403, "answer"],
    [404, "answer"],
  ] as const) {
    for (const document of [undefined, "text", {}, [], { type: "about:blank" }, { type: 7 }]) {
      assert.equal(fail(document, { status }).kind, kind);
    }
  }
  assert.match(fail(undefined, { status: 403 }).message, /it answers 403 and does not say why\. /);
  assert.match(fail(problemDocument("tls", ""), {}).message, /it says tls\. /);
});

test("a type of another's making is not one of ACME's", () => {
  for (const type of [
    "https://ca.example/caa",
    "urn:ietf:params:acme:error:",
    "urn:ietf:params:acme:error:a b",
  ]) {
    assert.equal(fail({ type, detail: "x" }).problemType, undefined);
  }
  assert.equal(fail(problemDocument("toString", "x")).kind, "malformed");
});

test("subproblems say about which name, and a compound problem is what they are", () => {
  const of = (type: string, value: string) =>
    problemDocument(type, "it is so", { identifier: { type: "dns", value } });
  const failure = fail(
    problemDocument("compound", "several", { subproblems: [of("caa", "b.example"), of("dns", "c.example")] }),
  );
  assert.equal(failure.kind, "caa");
  assert.deepEqual(failure.identifier, identify("b.example"));
  assert.match(failure.message, /“several”; of b\.example “it is so”; of c\.example “it is so”\. /);
  assert.match(failure.message, /CAA records of b\.example/);
  const known = fail(problemDocument("rateLimited", "", { subproblems: [of("dns", "c.example")] }));
  assert.equal(known.kind, "rate-limited");
  const same = fail(
    problemDocument("rejectedIdentifier", "no", { subproblems: [of("rejectedIdentifier", "c.example")] }),
  );
  assert.match(same.message, /does not issue for c\.example/);
});

test("any number of subproblems, in any shape, is told in a few", () => {
  const one = problemDocument("dns", "x", { subproblems: [problemDocument("dns", "inner")] });
  const { message } = fail(
    problemDocument("compound", "", { subproblems: Array.from({ length: 100 }, () => one) }),
  );
  assert.equal(message.match(/“x”/g)?.length, 5);
  assert.doesNotMatch(message, /inner/);
  for (const subproblems of [null, 7, "x", [null, 7, "x", []]]) {
    assert.equal(fail(problemDocument("compound", "whole", { subproblems })).reason, "it says “whole”");
  }
  const odd = fail(problemDocument("dns", "x", { identifier: 7 }));
  assert.equal(odd.identifier, undefined);
});

test("when to ask again is the later of the header's time and the text's", () => {
  const limit = problemDocument("rateLimited", "too many, retry after 2026-01-02 04:00:00 UTC: see");
  assert.equal(fail(limit).retryAfterMs, 3_600_000);
  assert.equal(fail(limit, { retryAfterMs: 60_000 }).retryAfterMs, 3_600_000);
  assert.equal(fail(limit, { retryAfterMs: 7_200_000 }).retryAfterMs, 7_200_000);
  assert.match(fail(limit).message, /It may be asked again at 2026-01-02T04:00:00Z\./);
  assert.equal(fail(problemDocument("caa", "retry after 2026-01-02 04:00:00 UTC")).retryAfterMs, undefined);
});

test("the CAA record to add has the CA's name and the methods; without the name it says where to look", () => {
  const about = { ...task, identifier: identify("a.example"), methods: ["tls-alpn-01", "http-01"] as const };
  const named = fail(problemDocument("caa", "no"), {
    authority: { host: "ca.example", caaIdentity: "ca.example" },
    task: about,
  });
  assert.match(
    named.message,
    /add `a\.example CAA 0 issue "ca\.example; validationmethods=tls-alpn-01,http-01"`/,
  );
  assert.match(fail(problemDocument("caa", "no"), { task: about }).message, /as its documentation says/);
});

test("an address has no records to check", () => {
  const about = { ...task, identifier: identify("192.0.2.1"), method: "tls-alpn-01" } as const;
  const { message } = fail(problemDocument("connection", "x"), { task: about });
  assert.match(message, /reach TCP 443 of 192\.0\.2\.1 from the Internet: check the firewall\.$/);
});

test("text of others becomes one short line without control or direction characters", () => {
  assert.equal(cleanText("a\r\nb\tc\u0000d\u001b[31m e\u202Ef\u2028g  h "), "a b c d [31m e f g h");
  assert.equal(cleanText("x".repeat(300)).length, 300);
  const long = cleanText("x".repeat(1_000_000));
  assert.equal(long.length, 300);
  assert.ok(long.endsWith("…"));
  const { message } = fail(problemDocument("dns", `a\nb${"x".repeat(10_000)}`));
  assert.ok(!message.includes("\n") && message.length < 700);
});
