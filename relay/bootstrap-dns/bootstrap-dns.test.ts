import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { BootstrapDns, type BootstrapDnsCounters, type ResolvedNames } from "./bootstrap-dns.ts";

const alice = "1.2.3.4"; // Her draw is 0.07.
const bob = "1.2.3.6"; // His is above one half.

function names(addresses: Readonly<Record<string, readonly string[]>>, rollout = 1): ResolvedNames {
  return new Map(Object.entries(addresses).map(([name, list]) => [name, { addresses: list, rollout }]));
}

function fresh(published?: ResolvedNames, unpublished?: ResolvedNames): BootstrapDns {
  const bootstrapDns = new BootstrapDns(() => assert.fail("nothing is drawn"));
  if (published !== undefined) bootstrapDns.publish(published);
  if (unpublished !== undefined) bootstrapDns.keepUnpublished(unpublished);
  return bootstrapDns;
}

/** The names in an answer. */
function named(text: string): string[] {
  return Object.keys(JSON.parse(text === "" ? "{}" : text));
}

/** The counters that are not 0, without the two that every question moves. */
function counted({ counters }: BootstrapDns): Partial<BootstrapDnsCounters> {
  const { requests: _requests, queriedDomains: _queried, ...others } = counters;
  return Object.fromEntries(Object.entries(others).filter(([, value]) => value !== 0));
}

test("an answer is Go's JSON with tabs, names in order of their bytes", () => {
  const published = names({ "b.example": ["192.0.2.1", "2001:db8::1"], "10": ["192.0.2.2"], B: [] });
  assert.equal(
    fresh(published).answer("", alice),
    '{\n\t"10": [\n\t\t"192.0.2.2"\n\t],\n\t"B": [],\n' +
      '\t"b.example": [\n\t\t"192.0.2.1",\n\t\t"2001:db8::1"\n\t]\n}',
  );
});

test("an answer is empty before the first refresh, and null after one that found nothing", () => {
  const bootstrapDns = fresh();
  assert.equal(bootstrapDns.answer("", alice), "");
  assert.equal(bootstrapDns.answer("a.example", alice), "");
  bootstrapDns.publish(names({}));
  assert.equal(bootstrapDns.answer("", alice), "null");
});

test("110. Given published and unpublished names, then `q`=published returns all published, `q`=unpublished returns only it, `q`=other returns published.", () => {
  const bootstrapDns = fresh(
    names({ "a.example": ["192.0.2.1"], "b.example": [] }),
    names({ "u.example": ["192.0.2.2"] }),
  );
  for (const question of ["", "a.example", "b.example", "other.example", "u.example.", "U.example"])
    assert.deepEqual(named(bootstrapDns.answer(question, alice)), ["a.example", "b.example"], question);
  assert.deepEqual(JSON.parse(bootstrapDns.answer("u.example", alice)), { "u.example": ["192.0.2.2"] });
});

test("110. Unpublished names never appear otherwise.", () => {
  const unpublished = "u.example";
  const bootstrapDns = fresh(names({ "a.example": ["192.0.2.1"] }), names({ [unpublished]: ["192.0.2.2"] }));
  const near = fc.constantFrom("u", ".", "example", "U.EXAMPLE", " ", "\0", "a.example", unpublished);
  const question = fc.array(near, { maxLength: 4 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(question, fc.string()), (asked) => {
      const answer = bootstrapDns.answer(asked, alice);
      assert.equal(answer.includes(unpublished), asked === unpublished, asked);
    }),
  );
});

test("a name is known to its share of the askers, and the others hear of it neither way", () => {
  const bootstrapDns = fresh(
    names({ "a.example": ["192.0.2.1"] }),
    names({ "u.example": ["192.0.2.2"] }, 0.5),
  );
  assert.deepEqual(named(bootstrapDns.answer("u.example", alice)), ["u.example"]);
  assert.deepEqual(counted(bootstrapDns), { unpublishedHits: 1 });
  assert.equal(bootstrapDns.answer("u.example", bob), bootstrapDns.answer("other.example", bob));
  assert.deepEqual(counted(bootstrapDns), {
    unpublishedHits: 2,
    unpublishedPercentMisses: 1,
    unpublishedMisses: 2,
  });
});

test("111. Given an unpublished entry with no addresses, then treated as a miss and counted so.", () => {
  const published = names({ "tailscale.example": ["10.10.10.10"] });
  const unpublished = names({ "empty.example": [], "control.example": ["1.2.3.4"] });
  for (const question of ["empty.example", "none.example"]) {
    const bootstrapDns = fresh(published, unpublished);
    assert.deepEqual(named(bootstrapDns.answer(question, alice)), ["tailscale.example"]);
    assert.deepEqual(counted(bootstrapDns), { unpublishedMisses: 1 });
  }
  const bootstrapDns = fresh(published, unpublished);
  assert.deepEqual(JSON.parse(bootstrapDns.answer("control.example", alice)), {
    "control.example": ["1.2.3.4"],
  });
  assert.deepEqual(counted(bootstrapDns), { unpublishedHits: 1 });
});

test("published names are counted as hits if they have addresses, also where they are unpublished as well", () => {
  const both = fresh(names({ a: ["192.0.2.1"], b: [] }), names({ a: ["192.0.2.9"] }, 0.5));
  both.answer("b", alice);
  assert.deepEqual(counted(both), { publishedMisses: 1 });
  assert.deepEqual(named(both.answer("a", bob)), ["a", "b"]);
  assert.deepEqual(counted(both), {
    publishedHits: 1,
    publishedMisses: 1,
    unpublishedHits: 1,
    unpublishedPercentMisses: 1,
  });
  assert.deepEqual(named(both.answer("a", alice)), ["a"]);
  assert.equal(both.counters.publishedHits, 1);
});

test("a request without a question counts as a request alone", () => {
  const bootstrapDns = fresh(names({ a: ["192.0.2.1"] }));
  bootstrapDns.answer("", alice);
  assert.equal(bootstrapDns.counters.requests, 1);
  assert.equal(bootstrapDns.counters.queriedDomains, 0);
  assert.deepEqual(counted(bootstrapDns), {});
});

test("112. Given queries a,b,c,d,e,e,e,a, then `queried_domains` = 5.", () => {
  const bootstrapDns = fresh(names({}));
  for (const name of ["a", "b", "c", "d", "e", "e", "e", "a"]) bootstrapDns.answer(`${name}.io`, alice);
  assert.equal(bootstrapDns.counters.queriedDomains, 5);
  assert.equal(bootstrapDns.counters.requests, 8);
});

test("the names that were asked for are forgotten when they are more than 500", () => {
  const bootstrapDns = fresh();
  const ask = (index: number): number => {
    bootstrapDns.answer(`${index}.example`, alice);
    return bootstrapDns.counters.queriedDomains;
  };
  for (let index = 1; index <= 500; index++) assert.equal(ask(index), index);
  assert.equal(ask(1), 500);
  assert.equal(ask(501), 0);
  assert.equal(ask(1), 1);
});
