import assert from "node:assert/strict";
import { test } from "node:test";
import { isDomainName, parseNames } from "./names.ts";

test("names are parted by commas, and a percentage's name by the first slash; nothing is trimmed", () => {
  const pairs = (text: string) => parseNames(text).map(({ name, rolloutName }) => [name, rolloutName]);
  assert.deepEqual(pairs(""), []);
  assert.deepEqual(pairs("a.example"), [["a.example", undefined]]);
  assert.deepEqual(pairs("a/txt.a,b/,c/x/y"), [
    ["a", "txt.a"],
    ["b", undefined],
    ["c", "x/y"],
  ]);
  assert.deepEqual(pairs(",a, b,/t"), [
    ["", undefined],
    ["a", undefined],
    [" b", undefined],
    ["", "t"],
  ]);
});

test("a domain name has labels of letters, digits, hyphens inside and underscores", () => {
  const label = "x".repeat(63);
  for (const name of ["a", "A.example", "a.example.", "_x.a", "a-b.c", "1a", "1.2.3.x", `${label}.${label}`])
    assert.ok(isDomainName(name), name);
  for (const name of [
    "",
    ".",
    " a",
    "a b",
    "a/b",
    "a..b",
    ".a",
    "-a",
    "a-",
    "a.-b",
    "a-.b",
    "ä.example",
    "a:1",
  ])
    assert.ok(!isDomainName(name), name);
});

test("what is digits alone or too long is no domain name", () => {
  const label = "x".repeat(63);
  const longest = `${label}.${label}.${label}.${"x".repeat(61)}`;
  assert.ok(isDomainName(longest) && isDomainName(`${longest}.`));
  for (const name of ["1.2.3.4", "12", `${label}x`, `${longest}x`]) assert.ok(!isDomainName(name), name);
});
