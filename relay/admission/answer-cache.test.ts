import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerCache, answerLifeMs } from "./answer-cache.ts";
import { allow, deny, unknown } from "./verdict.ts";

test("allow is good for 30 s, deny for 5 s, not knowing not at all", () => {
  const cache = new AnswerCache(10);
  cache.set("alice", allow, 100);
  cache.set("bob", deny("no"), 100);
  cache.set("cathy", unknown("?"), 100);
  assert.deepEqual(cache.get("alice", 30_099), allow);
  assert.equal(cache.get("alice", 30_100), undefined);
  assert.deepEqual(cache.get("bob", 5_099), deny("no"));
  assert.equal(cache.get("bob", 5_100), undefined);
  assert.equal(cache.get("cathy", 100), undefined);
  assert.equal(cache.size, 0);
});

test("not knowing any more wipes out what was known", () => {
  const cache = new AnswerCache(10);
  cache.set("alice", allow, 100);
  cache.set("alice", unknown("?"), 200);
  assert.equal(cache.get("alice", 200), undefined);
});

test("the answer that was kept first makes room, and a renewed one counts as new", () => {
  const cache = new AnswerCache(2);
  cache.set("alice", allow, 0);
  cache.set("bob", allow, 0);
  cache.set("alice", deny("no"), 0);
  cache.set("cathy", allow, 0);
  assert.deepEqual(cache.get("alice", 0), deny("no"));
  assert.equal(cache.get("bob", 0), undefined);
  assert.deepEqual(cache.get("cathy", 0), allow);
});

test("it never holds more than it may, and never gives an answer that it was not given or that is too old", () => {
  const step = fc.record({
    wait: fc.nat(10_000),
    question: fc.constantFrom("a", "b", "c", "d", "e"),
    verdict: fc.constantFrom(allow, deny("no"), unknown("?")),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), fc.integer({ min: 1, max: 4 }), (steps, most) => {
      const cache = new AnswerCache(most);
      const given = new Map<string, { verdict: typeof allow; until: number }>();
      let now = 0;
      for (const { wait, question, verdict } of steps) {
        now += wait;
        const got = cache.get(question, now);
        const last = given.get(question);
        assert.ok(got === undefined || (got === last?.verdict && now < last.until));
        cache.set(question, verdict, now);
        given.set(question, { verdict, until: now + answerLifeMs[verdict.kind] });
        assert.ok(cache.size <= most);
      }
    }),
  );
});
