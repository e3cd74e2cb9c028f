import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyFailure, failureOfStatus } from "./failure.ts";
import { TimeLimit } from "../outbound/failure.ts";

test("no answer in time, an answer that says nothing and a plea for less are told apart from other failures", () => {
  assert.deepEqual([new TimeLimit(1), new Error("x"), "x"].map(classifyFailure), [
    "timeout",
    "error",
    "error",
  ]);
  assert.deepEqual([500, 404, 429].map(failureOfStatus), ["answer", "answer", "throttled"]);
});
