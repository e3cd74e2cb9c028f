import assert from "node:assert/strict";
import { test } from "node:test";
import { queryValue } from "./query.ts";

const value = (target: string) => queryValue(target, "q");

test("the first value of a parameter counts, with its escapes decoded", () => {
  for (const query of ["?q=a.b", "?q=a%2eb", "?%71=a.b", "?&&q=a.b", "?x=1&q=a.b", "?q=a.b&q=c"])
    assert.equal(value(`/path${query}`), "a.b", query);
  assert.equal(value("/?q=+a%20b"), " a b");
  assert.equal(value("/?q=a=b?c#d"), "a=b?c#d");
  assert.equal(value("/?q=&q=a"), "");
  assert.equal(value("/?q"), "");
});

test("a parameter of another name is none", () => {
  for (const target of ["/", "/?", "/?Q=a", "/??q=a", "/#q=a", "/q=a"])
    assert.equal(value(target), undefined, target);
});

test("a pair with a semicolon or a malformed escape is passed over, and the others count", () => {
  for (const query of ["q=a;", "q=a;q=b", "q=%zz", "q=a%2", "q=a%", "%q=a"])
    assert.equal(value(`/?${query}`), undefined, query);
  assert.equal(value("/?q=%zz&q=a"), "a");
  assert.equal(value("/?x;y&q=a&z=%"), "a");
});
