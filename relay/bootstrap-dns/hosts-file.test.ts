import assert from "node:assert/strict";
import { test } from "node:test";
import { findHost, parseHosts } from "./hosts-file.ts";

const hosts = parseHosts(
  [
    "# a comment",
    "127.0.0.1\tlocalhost # and another",
    "::1 localhost ip6-localhost\r",
    "  192.0.2.1   A.example  alias.example.  ",
    "192.0.2.300 wrong.example",
    "192.0.2.2",
    "fe80::1%eth0 zone.example",
    "192.0.2.3 commented#out.example",
  ].join("\n"),
);

test("a name has the addresses of every line that holds it", () => {
  assert.deepEqual(findHost(hosts, "localhost"), ["127.0.0.1", "::1"]);
  assert.deepEqual(findHost(hosts, "ip6-localhost"), ["::1"]);
  assert.deepEqual(findHost(hosts, "zone.example"), ["fe80::1"]);
});

test("case does not count, nor the dot that ends a name of several labels", () => {
  for (const name of ["a.example", "A.EXAMPLE", "a.example.", "alias.example"])
    assert.deepEqual(findHost(hosts, name), ["192.0.2.1"], name);
  assert.equal(findHost(hosts, "localhost."), undefined);
});

test("comments and lines without an address name nobody", () => {
  for (const name of ["wrong.example", "and", "out.example", "", "192.0.2.2"])
    assert.equal(findHost(hosts, name), undefined, name);
  assert.deepEqual(findHost(hosts, "commented"), ["192.0.2.3"]);
  assert.equal(parseHosts("").size, 0);
});
