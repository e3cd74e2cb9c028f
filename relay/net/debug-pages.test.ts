import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { buildDebugAccess, type DebugAccessOptions, type DebugRequest } from "./debug-access.ts";
import { debugAnswer, type DebugContext } from "./debug-pages.ts";
import type { PlainAnswer } from "./http-answers.ts";

/** A request from loopback, unless said otherwise. */
function ask(target: string, changes: Partial<DebugRequest> = {}): DebugRequest {
  return {
    method: "GET",
    target,
    remoteAddress: "127.0.0.1",
    localAddress: "127.0.0.1",
    headers: { host: "127.0.0.1" },
    ...changes,
  };
}

function access(options: Partial<DebugAccessOptions> = {}): (changes: Partial<DebugRequest>) => boolean {
  const mayLook = buildDebugAccess({
    allowIp: "",
    trustedCidrs: "",
    readKey: () => undefined,
    strictDerper: false,
    ...options,
  });
  return (changes) => mayLook(ask("/debug/varz", changes));
}

function context(changes: Partial<DebugContext> = {}): DebugContext {
  return {
    access: access(),
    hostname: "127.0.0.1",
    machine: "vm",
    dev: false,
    version: "1.102.5",
    meshKey: false,
    uptimeSeconds: () => 2.2,
    vars: () => "{}\n",
    varz: () => "answers 1\n",
    certificates: () => "[]\n",
    check: async () => [],
    ...changes,
  };
}

/** The answer to a request that needs no waiting, as all do but the check. */
function answer(
  target: string,
  changes: Partial<DebugRequest> = {},
  others: Partial<DebugContext> = {},
): PlainAnswer | undefined {
  const found = debugAnswer(ask(target, changes), context(others));
  assert.ok(!(found instanceof Promise));
  return found;
}

const security =
  "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; block-all-mixed-content; object-src 'none'";
const browser = {
  "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
  "Content-Security-Policy": security,
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
};
const subPage = { ...browser, "Content-Security-Policy": `${security}; style-src 'self' 'unsafe-inline'` };
const plain = { "X-Content-Type-Options": "nosniff", "Content-Type": "text/plain; charset=utf-8" };

test("114. /debug/varz from loopback, 100.64.0.0/10 and an allowed CIDR is 200, from elsewhere 403", () => {
  const mayLook = buildDebugAccess({
    allowIp: "192.0.2.7",
    trustedCidrs: "198.51.100.0/24, ,2001:db8::/32,",
    readKey: () => undefined,
    strictDerper: false,
  });
  const status = (remoteAddress: string | undefined, localAddress = "203.0.113.1"): number | undefined =>
    answer("/debug/varz", { remoteAddress, localAddress }, { access: mayLook })?.status;
  for (const source of ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"])
    assert.equal(status(source), 200, source);
  for (const source of ["192.0.2.7", "::ffff:192.0.2.7"]) assert.equal(status(source), 200, source);
  for (const source of ["198.51.100.9", "::ffff:198.51.100.9", "2001:db8:1::1"])
    assert.equal(status(source), 200, source);
  for (const source of ["100.64.0.1", "100.127.255.254", "fd7a:115c:a1e0::1", "::ffff:100.64.0.1"]) {
    assert.equal(status(source, "100.100.1.1"), 200, source);
    assert.equal(status(source, "fd7a:115c:a1e0::2"), 200, source);
  }
  for (const source of [
    "8.8.8.8",
    "192.0.2.8",
    "198.51.101.1",
    "10.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2001:db9::1",
    "::",
    "fd7a:115c:a1e1::1",
    "not an address",
    "",
    undefined,
  ])
    assert.equal(status(source, "100.100.1.1"), 403, String(source));
  // ChromeOS uses these for its own virtual machines.
  for (const source of ["100.115.92.0", "100.115.93.255"])
    assert.equal(status(source, "100.100.1.1"), 403, source);
});

test("114. with X-Forwarded-For it is 403 debug access denied, whoever asks", () => {
  const mayLook = access({ allowIp: "192.0.2.7", trustedCidrs: "198.51.100.0/24" });
  const headers = { "x-forwarded-for": "127.0.0.1" };
  for (const remoteAddress of ["127.0.0.1", "100.64.0.1", "192.0.2.7", "198.51.100.1"])
    assert.equal(mayLook({ remoteAddress, localAddress: "100.64.0.2", headers }), false, remoteAddress);
  for (const target of ["/debug/", "/debug/varz", "/debug/check", "/debug/nosuch"]) {
    assert.deepEqual(answer(target, { headers }), {
      status: 403,
      headers: plain,
      body: "debug access denied\n",
    });
  }
});

test("in dev mode the refusal of a page that exists says what would permit it", () => {
  const refusal = (target: string): string | undefined =>
    answer(target, { remoteAddress: "::ffff:8.8.8.8" }, { dev: true })?.body;
  const hint = "; to permit access, set TS_ALLOW_DEBUG_IP=8.8.8.8";
  assert.equal(refusal("/debug/varz"), `debug access denied${hint}\n`);
  for (const target of ["/debug/", "/debug/nosuch"]) assert.equal(refusal(target), "debug access denied\n");
});

test("loopback counts only where no proxy has left a trace; strictly as in derper it does", () => {
  for (const name of ["via", "forwarded", "x-real-ip", "cf-connecting-ip"]) {
    const request = { headers: { [name]: "x" } };
    assert.equal(access()(request), false, name);
    assert.equal(access({ strictDerper: true })(request), true, name);
  }
  const trusted = access({ trustedCidrs: "127.0.0.0/8" });
  assert.equal(trusted({ headers: { via: "1.1 x" } }), true, "the operator says so");
});

test("a Tailscale source counts only on a Tailscale local address; strictly as in derper on any", () => {
  for (const localAddress of ["203.0.113.1", "2001:db8::1", "127.0.0.1", undefined]) {
    const request = { remoteAddress: "100.64.0.1", localAddress };
    assert.equal(access()(request), false, localAddress);
    assert.equal(access({ strictDerper: true })(request), true, localAddress);
  }
});

test("a GET with the key is let in from anywhere, and the key is read each time", () => {
  let file: string | undefined = " first&key \n";
  const mayLook = access({ readKey: () => file });
  const stranger = { remoteAddress: "8.8.8.8", headers: { "x-forwarded-for": "9.9.9.9" } };
  const with_ = (query: string, method = "GET"): boolean =>
    mayLook({ ...stranger, method, target: `/debug/varz?${query}` });
  assert.equal(with_("debugkey=first%26key"), true);
  assert.equal(with_("x=1&debugkey=first%26key"), true);
  for (const query of [
    "debugkey=first",
    "debugkey=",
    "debugkey",
    "key=first%26key",
    "x",
    "debugkey=wrong&debugkey=first%26key",
  ])
    assert.equal(with_(query), false, query);
  assert.equal(with_("debugkey=first%26key", "POST"), false);
  file = "second";
  assert.deepEqual([with_("debugkey=first%26key"), with_("debugkey=second")], [false, true]);
  for (file of ["", "  \n", undefined]) assert.equal(with_("debugkey="), false);
});

test("networks are parsed as Go does, each mistake is named, and no IPv6 network holds an IPv4 address", () => {
  assert.equal(access({ trustedCidrs: "0.0.0.0/0" })({ remoteAddress: "8.8.8.8" }), true);
  assert.equal(access({ trustedCidrs: "::/0" })({ remoteAddress: "8.8.8.8" }), false);
  assert.equal(access({ trustedCidrs: "::/0" })({ remoteAddress: "2001:db8::1" }), true);
  assert.equal(access({ trustedCidrs: "10.1.2.3/8" })({ remoteAddress: "10.9.9.9" }), true);
  const wrong = [
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0/8",
    "::/129",
    "fe80::1%eth0/64",
    "x/8",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
  ];
  assert.throws(
    () => access({ trustedCidrs: ["10.0.0.0/8", ...wrong].join(",") }),
    (error) => {
      assert.ok(error instanceof KitError && error.code === "config-invalid");
      assert.deepEqual(
        error.problems.map(({ message }) => message),
        wrong.map((cidr) => `"${cidr}" is no network`),
      );
      return true;
    },
  );
});

test("an address to allow that is none lets nobody in", () => {
  assert.equal(access({ allowIp: "nonsense" })({ remoteAddress: undefined }), false);
  assert.equal(access({ allowIp: "nonsense" })({ remoteAddress: "nonsense" }), false);
});

test("117. /debug/check on a healthy server is 200 and the sentence of derper", async () => {
  assert.deepEqual(await debugAnswer(ask("/debug/check"), context()), {
    status: 200,
    headers: { ...subPage, "Content-Type": "text/plain; charset=utf-8" },
    body: "derp.Server ConsistencyCheck okay",
  });
});

test("/debug/check is 500 and the problems when something does not fit", async () => {
  const broken = context({ check: async () => ["one", "two"] });
  const { status, headers, body } = (await debugAnswer(ask("/debug/check"), broken)) ?? assert.fail();
  assert.deepEqual([status, body], [500, "one, two\n"]);
  assert.deepEqual(headers, { ...subPage, "Content-Type": "text/plain; charset=utf-8" });
});

test("/debug/vars and /debug/varz carry their types and the headers of sub-pages", () => {
  assert.deepEqual(answer("/debug/vars?x=1"), {
    status: 200,
    headers: { ...subPage, "Content-Type": "application/json; charset=utf-8" },
    body: "{}\n",
  });
  assert.deepEqual(answer("/debug/varz"), {
    status: 200,
    headers: { ...subPage, "Content-Type": "text/plain;version=0.0.4;charset=utf-8" },
    body: "answers 1\n",
  });
});

test("/debug/ is derper's index without the pages that are Go's, and what it shows is escaped", () => {
  assert.deepEqual(answer("/debug/"), {
    status: 200,
    headers: { ...browser, "Content-Type": "text/html; charset=utf-8" },
    body:
      "<html><body><h1>derper debug</h1><ul><li><b>Uptime:</b> 2s</li><li><b>Version:</b> 1.102.5</li>" +
      "<li><b>Machine:</b> vm</li><li><b>TLS hostname:</b> 127.0.0.1</li><li><b>Mesh key:</b> false</li>" +
      '<li><a href="/debug/vars">/debug/vars</a> (Metrics (Go))</li>' +
      '<li><a href="/debug/varz">/debug/varz</a> (Metrics (Prometheus))</li>' +
      '<li><a href="/debug/check">/debug/check</a> (Consistency check)</li>',
  });
  const odd = answer("/debug/", {}, { machine: `<a b='c' d="e">&` });
  assert.match(odd?.body ?? "", /<b>Machine:<\/b> &lt;a b=&#39;c&#39; d=&#34;e&#34;&gt;&amp;<\/li>/);
});

test("the index shows the uptime as Go prints a duration", () => {
  const shown = (seconds: number): string | undefined =>
    /Uptime:<\/b> ([^<]+)</.exec(answer("/debug/", {}, { uptimeSeconds: () => seconds })?.body ?? "")?.[1];
  assert.deepEqual([0, 59.6, 61, 3_600, 93_605].map(shown), ["0s", "1m0s", "1m1s", "1h0m0s", "26h0m5s"]);
});

test("certificates are told as JSON, to who may see the pages", () => {
  const shown = answer("/debug/certificates");
  assert.ok(shown !== undefined);
  assert.deepEqual(
    [shown.status, shown.headers?.["Content-Type"], shown.body],
    [200, "application/json; charset=utf-8", "[]\n"],
  );
});

test("unknown sub-pages, those of Go among them, are 404", () => {
  for (const path of ["nosuch", "check/", "pprof/", "gc", "traffic", "set-mutex-profile-fraction", "//"]) {
    assert.deepEqual(
      answer(`/debug/${path}`),
      { status: 404, headers: plain, body: "404 page not found\n" },
      path,
    );
  }
});

test("/debug is sent to /debug/ whoever asks, and keeps its question", () => {
  const stranger = { remoteAddress: "8.8.8.8" };
  assert.deepEqual(answer("/debug?a=<b>&c", stranger), {
    status: 307,
    headers: { "Content-Type": "text/html; charset=utf-8", Location: "/debug/?a=<b>&c" },
    body: '<a href="/debug/?a=&lt;b&gt;&amp;c">Temporary Redirect</a>.\n\n',
  });
  assert.deepEqual(answer("/debug", { ...stranger, method: "POST" }), {
    status: 307,
    headers: { Location: "/debug/" },
    body: "",
  });
});

test("paths that only begin alike are not debug pages", () => {
  for (const path of ["/", "/debugger", "/Debug/", "/derp", "/x/debug/"])
    assert.equal(answer(path), undefined, path);
});
