import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNames } from "./names.ts";
import { resolveNames } from "./resolve-names.ts";
import type { NameResolver } from "./resolver.ts";

const notFound = Object.assign(new Error("queryA ENOTFOUND secret.example"), { code: "ENOTFOUND" });

/** Knows what it is given, and nothing else. */
function resolverOf(known: Readonly<Record<string, readonly string[]>>): NameResolver {
  const find = async (name: string) => known[name] ?? Promise.reject(notFound);
  return { addresses: find, texts: find };
}

async function resolveList(
  list: string,
  known: Readonly<Record<string, readonly string[]>>,
  random = () => 0.99,
) {
  const { names, failures } = await resolveNames(parseNames(list), resolverOf(known), random);
  return { names: Object.fromEntries(names), failures: failures.map(({ entry: _entry, ...rest }) => rest) };
}

test("each name has its addresses, and the share that its TXT record says", async () => {
  const known = { a: ["192.0.2.1"], b: ["192.0.2.2"], "txt.b": ["25"] };
  assert.deepEqual(await resolveList("a,b/txt.b", known), {
    names: { a: { addresses: ["192.0.2.1"], rollout: 1 }, b: { addresses: ["192.0.2.2"], rollout: 0.25 } },
    failures: [],
  });
});

test("a name that fails is left out, the others are there, and no failure holds a name", async () => {
  const { names, failures } = await resolveList("none,a,", { a: ["192.0.2.1"] });
  assert.deepEqual(Object.keys(names), ["a"]);
  assert.deepEqual(failures, [
    { index: 0, what: "addresses", why: "ENOTFOUND" },
    { index: 2, what: "addresses", why: "ENOTFOUND" },
  ]);
});

test("a percentage that is missing or malformed is none at all", async () => {
  const { names, failures } = await resolveList("a/none,b/half", {
    a: ["192.0.2.1"],
    b: ["192.0.2.2"],
    half: ["half"],
  });
  assert.deepEqual(
    Object.values(names).map(({ rollout }) => rollout),
    [0, 0],
  );
  assert.deepEqual(failures, [
    { index: 0, what: "percentage", why: "ENOTFOUND" },
    { index: 1, what: "percentage", why: "no whole number from 0 to 100" },
  ]);
});

test("of two entries with one name the last that has addresses counts", async () => {
  const known = { a: ["192.0.2.1"], "txt.a": ["5"] };
  assert.equal((await resolveList("a,a/txt.a", known)).names["a"]?.rollout, 0.05);
  assert.equal((await resolveList("a/txt.a,a", known)).names["a"]?.rollout, 1);
});

test("addresses are shuffled, and none is lost", async () => {
  const addresses = ["1", "2", "3", "4"];
  const order = async (random: () => number) =>
    (await resolveList("a", { a: addresses }, random)).names["a"]?.addresses;
  assert.deepEqual(await order(() => 0.99), ["1", "2", "3", "4"]);
  assert.deepEqual(await order(() => 0), ["4", "3", "2", "1"]);
  const draws = [0, 0.6, 0.1, 0.3];
  assert.deepEqual(await order(() => draws.shift() ?? 0), ["3", "4", "1", "2"]);
});

test("however many names there are, eight are looked up at the same time", async () => {
  const waiting: PromiseWithResolvers<readonly string[]>[] = [];
  const addresses = (): Promise<readonly string[]> => {
    waiting.push(Promise.withResolvers());
    return waiting.at(-1)?.promise ?? assert.fail();
  };
  const list = Array.from({ length: 100 }, (_, index) => `${index}.example`).join();
  const done = resolveNames(parseNames(list), { addresses, texts: addresses }, () => 0);
  for (let asked = 8; asked <= 100; asked++) {
    assert.equal(waiting.length, asked);
    waiting[asked - 8]?.resolve(["192.0.2.1"]);
    await new Promise(setImmediate);
  }
  assert.equal(waiting.length, 100);
  for (const { resolve } of waiting) resolve(["192.0.2.1"]);
  assert.equal((await done).names.size, 100);
});
