import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

const known = ["id", "code", "name", "cloud", "nodes", "hostName"];

test("a misspelt word is recognised", () => {
  assert.equal(nearest("hostname", known), "hostName");
  assert.equal(nearest("nmae", known), "name");
  assert.equal(nearest("node", known), "nodes");
  assert.equal(nearest("ID", known), "id");
});

test("another word is not", () => {
  for (const word of ["", "port", "zone", "no", "latitude", "x".repeat(1_000_000)]) {
    assert.equal(nearest(word, known), undefined, word);
  }
});
