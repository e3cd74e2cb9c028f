import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFailure, TimeLimit } from "./failure.ts";

test("a failure is described by its message, or by that of the first of several", () => {
  const refused = new Error("connect ECONNREFUSED 127.0.0.1:1");
  for (const error of [refused, new AggregateError([refused, new Error("another")]), refused.message]) {
    assert.equal(describeFailure(error), refused.message);
  }
});

test("no answer in time says how long was waited", () => {
  assert.equal(describeFailure(new TimeLimit(5_000)), "no answer within 5 s");
});
