import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyFailure, describeFailure, failureOfStatus, TimeLimit } from "./failure.ts";

test("a failure is described by its message, or by that of the first of several", () => {
  const refused = new Error("connect ECONNREFUSED 127.0.0.1:1");
  for (const error of [refused, new AggregateError([refused, new Error("another")]), refused.message]) {
    assert.equal(describeFailure(error), refused.message);
  }
});

test("no answer in time, an answer that says nothing and a plea for less are told apart from other failures", () => {
  assert.equal(describeFailure(new TimeLimit(5_000)), "no answer within 5 s");
  assert.deepEqual([new TimeLimit(1), new Error("x"), "x"].map(classifyFailure), [
    "timeout",
    "error",
    "error",
  ]);
  assert.deepEqual([500, 404, 429].map(failureOfStatus), ["answer", "answer", "throttled"]);
});
