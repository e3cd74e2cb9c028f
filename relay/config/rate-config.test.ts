import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRateConfig } from "./rate-config.ts";

test("100. the burst is at least a frame, zeros and an empty object are no limit, all else is refused", () => {
  assert.deepEqual(
    parseRateConfig('{"PerClientRateLimitBytesPerSec":1250000,"PerClientRateBurstBytes":10}'),
    { bytesPerSecond: 1_250_000, burst: 65_568 },
  );
  assert.deepEqual(parseRateConfig('{"PerClientRateLimitBytesPerSec":1,"PerClientRateBurstBytes":99999}'), {
    bytesPerSecond: 1,
    burst: 99_999,
  });
  for (const none of ["{}", '{"PerClientRateLimitBytesPerSec":0,"PerClientRateBurstBytes":5}', '{"x":1}']) {
    assert.equal(parseRateConfig(none), undefined, none);
  }
  for (const text of [
    "",
    "[]",
    "null",
    '{"PerClientRateLimitBytesPerSec":"1"}',
    '{"PerClientRateBurstBytes":-1}',
    "{",
  ]) {
    assert.equal(parseRateConfig(text), "malformed", text);
  }
});
