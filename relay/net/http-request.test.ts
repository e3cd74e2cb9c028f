import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { connectionHeader, goesOn, parseRequest, type Request, type RequestHead } from "./http-request.ts";

/** The head of a request that is in order, unless said otherwise. */
function head(changes: Partial<RequestHead> = {}): RequestHead {
  return { method: "GET", target: "/", rawHeaders: ["Host", "relay.example"], version: "1.1", ...changes };
}

const withHeaders = (...rawHeaders: string[]): RequestHead =>
  head({ rawHeaders: ["Host", "relay.example", ...rawHeaders] });

/** What a head is answered instead of being a request. */
function refusal(given: RequestHead): string | undefined {
  const outcome = parseRequest(given);
  return "status" in outcome ? `${outcome.status} ${outcome.reason ?? ""}`.trim() : undefined;
}

function request(given: RequestHead): Request {
  const outcome = parseRequest(given);
  assert.ok(!("status" in outcome), JSON.stringify([given, outcome]));
  return outcome;
}

/** Where a target is sent to instead. */
function location(target: string, method = "GET"): string | undefined {
  const outcome = parseRequest(head({ target, method }));
  return "status" in outcome ? outcome.headers["Location"] : undefined;
}

test("a target is a path with its query, or a whole URL whose path and host count", () => {
  for (const [target, host, uri] of [
    ["/derp?x=1", "relay.example", "/derp?x=1"],
    ["http://other.example/derp?x", "other.example", "/derp?x"],
    ["HTTPS://user:word@[::1]:8443/derp", "[::1]:8443", "/derp"],
  ] as const) {
    const asked = request(head({ target }));
    assert.deepEqual([asked.target, asked.host, asked.uri], [uri, host, uri], target);
  }
  for (const target of [
    "",
    "relative",
    "?x",
    "foo:bar",
    "http:/a",
    "http://a:b/",
    "http://[a/",
    "http://a%20b/",
    "/%",
    "/%4",
    "/%zz",
  ])
    assert.equal(refusal(head({ target })), "400 Bad Request", target);
  assert.equal(request(head({ target: "/?%zz" })).target, "/?%zz");
});

test("the escapes of a path are undone, but for those of a slash and a question mark", () => {
  const target = (given: string): string => request(head({ target: given })).target;
  assert.equal(target("/%64%65rp?%64"), "/derp?%64");
  assert.equal(target("/derp%2Fprobe%3fx"), "/derp%2Fprobe%3fx");
  assert.equal(target("/%2564erp"), "/%64erp");
  assert.equal(target("/%ff%00"), "/\xff\0");
  assert.equal(request(head({ target: "/%64erp?a" })).uri, "/%64erp?a", "as the client wrote it");
});

test("a path that is not clean is redirected to the one that is, escaped once more as Go does", () => {
  for (const [target, expected] of [
    ["//derp", "/derp"],
    ["/a//b/", "/a/b/"],
    ["/derp/../generate_204?x", "/generate_204?x"],
    ["/./robots.txt?", "/robots.txt"],
    ["/../../..", "/"],
    ["/a/.", "/a"],
    ["http://other.example", "/"],
    ["http://other.example?x", "/?x"],
    ["//%64erp", "/%2564erp"],
    ["//a!b", "/a%21b"],
    ['//"', "/%2522"],
  ] as const)
    assert.equal(location(target), expected, target);
  for (const target of ["/", "/a/", "/...", "/%2e%2e/derp", "/a!b", "/{}"])
    assert.equal(location(target), undefined, target);
  const [get, post] = ["GET", "POST"].map((method) => parseRequest(head({ target: "//'<a>", method })));
  assert.deepEqual(get, {
    status: 307,
    headers: { "Content-Type": "text/html; charset=utf-8", Location: "/%2527%253Ca%253E" },
    body: '<a href="/%2527%253Ca%253E">Temporary Redirect</a>.\n\n',
  });
  assert.deepEqual(post, { status: 307, headers: { Location: "/%2527%253Ca%253E" }, body: "" });
});

test("whatever the target, one redirect is enough, and no two slashes are let through", () => {
  const piece = fc.constantFrom("/", ".", "..", "a", "%2e", "%2F", "%64", "?", "!", '"', "derp");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const outcome = parseRequest(head({ target: `/${pieces.join("")}` }));
      if ("status" in outcome) {
        const next = outcome.headers["Location"];
        assert.ok(next !== undefined && location(next) === undefined);
      } else assert.doesNotMatch(outcome.target.split("?", 1)[0] ?? "", /\/\//);
    }),
  );
});

test("`*` is answered at once: to OPTIONS with 200, to any other method with 400", () => {
  assert.deepEqual(parseRequest(head({ target: "*" })), {
    status: 400,
    headers: { Connection: "close" },
    body: "",
  });
  assert.deepEqual(parseRequest(head({ target: "*", method: "OPTIONS" })), {
    status: 200,
    headers: { "Content-Length": "0" },
    body: "",
  });
});

test("HTTP/1 is served, no version is 400 and any other 505", () => {
  for (const version of ["1.0", "1.1", "1.2"]) assert.equal(refusal(head({ version })), undefined, version);
  assert.equal(refusal(head({ version: "0.9" })), "400 Bad Request");
  for (const version of ["2.0", "3.0"])
    assert.equal(
      refusal(head({ version })),
      "505 HTTP Version Not Supported: unsupported protocol version",
      version,
    );
  assert.deepEqual(parseRequest(head({ version: "2.0", rawHeaders: [] })), {
    status: 505,
    reason: "HTTP Version Not Supported: unsupported protocol version",
    headers: { "Content-Type": "text/plain; charset=utf-8", Connection: "close" },
    body: "505 HTTP Version Not Supported: unsupported protocol version",
    bare: true,
  });
});

test("there is one Host and it is well formed; HTTP/1.0 and CONNECT may leave it out", () => {
  const none = head({ rawHeaders: ["Accept", "*/*"] });
  assert.equal(refusal(none), "400 Bad Request: missing required Host header");
  assert.equal(request({ ...none, version: "1.0" }).host, "");
  assert.equal(refusal({ ...none, method: "CONNECT", target: "a.example:443" }), undefined);
  assert.equal(refusal(withHeaders("hOST", "relay.example")), "400 Bad Request");
  for (const host of ["", "a.example:8443", "[::1]:443", "a_b~!$&'()*+,;=%"])
    assert.equal(request(head({ rawHeaders: ["host", host] })).host, host);
  for (const host of ["a b", "a/b", "a@b", 'a"', "a\\b", "a?", "a#", "\xe9"])
    assert.equal(
      refusal(head({ rawHeaders: ["Host", host], version: "1.0" })),
      "400 Bad Request: malformed Host header",
      host,
    );
});

test("a transfer encoding is chunked, and there is one; HTTP/1.0 has none", () => {
  assert.equal(refusal(withHeaders("Transfer-Encoding", "Chunked")), undefined);
  for (const values of [["gzip"], ["identity"], ["gzip, chunked"], [""], ["chunked", "chunked"]]) {
    const given = withHeaders(...values.flatMap((value) => ["Transfer-Encoding", value]));
    const outcome = parseRequest(given);
    assert.ok("status" in outcome);
    assert.deepEqual([outcome.status, outcome.body], [501, "Unsupported transfer encoding"]);
    assert.equal(refusal({ ...given, version: "1.0" }), undefined);
  }
});

test("what a client expects is 100-continue or nothing", () => {
  for (const value of ["100-continue", "100-Continue", "", "100-continue, x"])
    assert.equal(refusal(withHeaders("Expect", value)), undefined, value);
  assert.deepEqual(parseRequest(withHeaders("Expect", "foo")), {
    status: 417,
    headers: { Connection: "close" },
    body: "",
  });
});

test("of headers with one name the first counts, whatever the name", () => {
  const { headers } = request(withHeaders("X-A", "1", "x-a", "2", "__proto__", "3", "constructor", "4"));
  assert.equal(headers["x-a"], "1");
  assert.equal(Object.getPrototypeOf(headers), Object.prototype);
  assert.equal(Object.entries(headers).length, 4);
});

test("a connection goes on as its version of HTTP has it, unless the client says otherwise", () => {
  for (const [version, values, expected] of [
    ["1.1", [], undefined],
    ["1.1", ["keep-alive"], undefined],
    ["1.1", ["foo,Close"], "close"],
    ["1.1", ["keep-alive", "close"], "close"],
    ["1.0", [], undefined],
    ["1.0", ["Keep-Alive"], "keep-alive"],
    ["1.0", ["close"], undefined],
  ] as const) {
    const rawHeaders = values.flatMap((value) => ["Connection", value]);
    assert.equal(connectionHeader(head({ rawHeaders, version })), expected, `${version} ${values.join()}`);
  }
  const waits = withHeaders("Expect", "100-continue", "Content-Length", "5");
  assert.deepEqual([goesOn(waits), connectionHeader(waits)], [false, "close"]);
});
