import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { readQueueDepth } from "./queue-depth.ts";

const variable = "TS_DEBUG_DERP_PER_CLIENT_SEND_QUEUE_DEPTH";

test("60. the environment sets the depth of derper's queues; unset or empty leaves our own bound", () => {
  assert.equal(readQueueDepth({ [variable]: "64" }), 64);
  assert.equal(readQueueDepth({ [variable]: "" }), undefined);
  assert.equal(readQueueDepth({}), undefined);
});

test("a depth that is no whole number from 1 is a mistake that names the variable", () => {
  for (const text of ["0", "-1", "many", "1.5", "0x20", " 32", "9999999999"]) {
    assert.throws(
      () => readQueueDepth({ [variable]: text }),
      (error) => error instanceof KitError && error.problems?.[0]?.path === variable,
    );
  }
});
