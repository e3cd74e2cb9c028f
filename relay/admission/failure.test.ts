import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFailure } from "./failure.ts";

test("a failure is described by its message, its cause if it was aborted, or the first of several", () => {
  const refused = new Error("connect ECONNREFUSED 127.0.0.1:1");
  const aborted = new DOMException("This operation was aborted", { name: "AbortError", cause: refused });
  for (const error of [
    refused,
    aborted,
    new AggregateError([refused, new Error("another")]),
    refused.message,
  ]) {
    assert.equal(describeFailure(error), refused.message);
  }
});
