import assert from "node:assert/strict";
import test from "node:test";
import { AcmeFailure } from "./failure.ts";
import { pauseBefore, type Refusal } from "./retry.ts";

const refusal = (status?: number, retryAfterMs?: number, lasting = false): Refusal => ({
  failure: new AcmeFailure("server", "", { reason: "", retryAfterMs }),
  status,
  lasting,
});

test("what may be repeated is, three times with growing pauses, if no answer came or the CA has a fault", () => {
  for (const status of [undefined, 500, 502, 503]) {
    const pauses = [0, 1, 2, 3].map((retries) => pauseBefore(retries, refusal(status), true));
    assert.deepEqual(pauses, [250, 1_000, 4_000, undefined]);
    assert.equal(pauseBefore(0, refusal(status), false), undefined);
  }
});

test("a refusal for good is not asked about again", () => {
  for (const status of [307, 400, 403, 404, 409, 429]) {
    assert.equal(pauseBefore(0, refusal(status), true), undefined);
  }
  assert.equal(pauseBefore(0, refusal(undefined, undefined, true), true), undefined);
});

test("any request waits as the CA wishes, if that is no longer than 30 s", () => {
  for (const status of [429, 503]) {
    for (const repeatable of [true, false]) {
      assert.equal(pauseBefore(0, refusal(status, 30_000), repeatable), 30_000);
      assert.equal(pauseBefore(0, refusal(status, 0), repeatable), 250);
      assert.equal(pauseBefore(0, refusal(status, 30_001), repeatable), undefined);
      assert.equal(pauseBefore(3, refusal(status, 1_000), repeatable), undefined);
    }
  }
});
