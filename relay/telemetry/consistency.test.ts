import assert from "node:assert/strict";
import { test } from "node:test";
import { findInconsistencies } from "./consistency.ts";

test("117. connections are compared with connections, so a key that is connected twice is no problem", () => {
  assert.deepEqual(findInconsistencies({ connections: 0, registered: 0 }), []);
  assert.deepEqual(findInconsistencies({ connections: 3, registered: 3 }), []);
  assert.deepEqual(findInconsistencies({ connections: 3, registered: 2 }), [
    "expvar connections = 3 != clients map says of 2",
  ]);
});
