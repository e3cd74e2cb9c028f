import assert from "node:assert/strict";
import { test } from "node:test";
import { Challenges } from "./challenges.ts";

test("an answer is there until it is disposed of, and a newer one outlives the older", () => {
  const challenges = new Challenges();
  const [one, other] = [
    { chain: "one", key: "" },
    { chain: "other", key: "" },
  ];
  const first = challenges.offerTls("a.example", one);
  assert.equal(challenges.tls("a.example"), one);
  assert.equal(challenges.tls("b.example"), undefined);
  const second = challenges.offerTls("a.example", other);
  first[Symbol.dispose]();
  assert.equal(challenges.tls("a.example"), other);
  second[Symbol.dispose]();
  assert.equal(challenges.tls("a.example"), undefined);
  const http = challenges.offerHttp("token", "token.thumbprint");
  assert.equal(challenges.http("token"), "token.thumbprint");
  http[Symbol.dispose]();
  assert.equal(challenges.http("token"), undefined);
});
