import assert from "node:assert/strict";
import { test } from "node:test";
import { planRecords } from "./records.ts";

const addresses = { A: "203.0.113.7", AAAA: "2001:db8:7::1" };

test("a node's name leads to both of its addresses, and says which authority may certify it after which proof", () => {
  assert.deepEqual(
    planRecords("901a.example.com", addresses, { certificates: "acme", http: false }, 300).map(
      ({ name, type, content, ttl }) => `${name} ${ttl} ${type} ${content as string}`,
    ),
    [
      "901a.example.com 300 A 203.0.113.7",
      "901a.example.com 300 AAAA 2001:db8:7::1",
      '901a.example.com 300 CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01"',
    ],
  );
});

test("with port 80 open both proofs are allowed; a node that asks no authority forbids none", () => {
  const [only] = planRecords("a.example", {}, { certificates: "acme", http: true }, 60);
  assert.equal(only?.content, '0 issue "letsencrypt.org; validationmethods=tls-alpn-01,http-01"');
  for (const certificates of ["manual", "pinned"] as const) {
    assert.deepEqual(
      planRecords("a.example", { A: "203.0.113.7" }, { certificates, http: false }, 60).map(
        ({ type }) => type,
      ),
      ["A"],
    );
  }
});
