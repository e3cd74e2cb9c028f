import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ladderMs, longestRetryAfterMs, personMs, waitAfter } from "./ladder.ts";

const minute = 60_000;
const hour = 60 * minute;

test("the waits are those of the table, and the last one stays", () => {
  const waits = Array.from({ length: 12 }, (_, index) => waitAfter({ failures: index + 1 }, 0.5) / minute);
  assert.deepEqual(waits, [1, 2, 5, 10, 20, 30, 60, 120, 240, 360, 360, 360]);
  assert.equal(waitAfter({ failures: 1e9 }, 0.5), 6 * hour);
});

test("a wait is up to a fifth shorter or longer", () => {
  assert.deepEqual(
    [0, 0.5, 1].map((random) => waitAfter({ failures: 3 }, random) / minute),
    [4, 5, 6],
  );
});

test("what only a person can mend waits for an hour, and then as the ladder says", () => {
  assert.deepEqual(
    [1, 6, 7, 8].map((failures) => waitAfter({ failures, person: true }, 0)),
    [hour, hour, hour, 1.6 * hour],
  );
  assert.equal(waitAfter({ failures: 1, person: true }, 1), 1.2 * hour, "not all relays at once");
});

test("the CA's wish is a lower bound and never shortens a wait", () => {
  assert.equal(waitAfter({ failures: 1, retryAfterMs: 34 * hour }, 0), 34 * hour);
  assert.equal(waitAfter({ failures: 10, retryAfterMs: 1_000 }, 0.5), 6 * hour);
  for (const odd of [0, -hour, Number.NaN])
    assert.equal(waitAfter({ failures: 1, retryAfterMs: odd }, 0.5), minute);
  assert.equal(waitAfter({ failures: 1, retryAfterMs: 1e300 }, 0), longestRetryAfterMs);
});

test("every wait is finite, whole, and keeps all its bounds", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.boolean(),
      fc.option(fc.double(), { nil: undefined }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (failures, person, retryAfterMs, random) => {
        const wait = waitAfter({ failures, person, retryAfterMs }, random);
        assert.ok(Number.isSafeInteger(wait));
        assert.ok(wait >= 0.8 * (ladderMs[0] ?? 0) && wait <= 1.2 * longestRetryAfterMs);
        if (person) assert.ok(wait >= personMs);
        if (retryAfterMs !== undefined && retryAfterMs <= longestRetryAfterMs)
          assert.ok(wait >= Math.floor(retryAfterMs));
      },
    ),
  );
});
