import assert from "node:assert/strict";
import { test } from "node:test";
import { isDate, isDnsLabel, isDnsName, isHumanText } from "./names.ts";

test("a DNS label is 1 to 63 lower-case letters, digits and inner hyphens", () => {
  for (const label of ["a", "9", "901a", "a-b", "xn--abc", "a".repeat(63)])
    assert.ok(isDnsLabel(label), label);
  for (const label of ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a".repeat(64), "a\n"]) {
    assert.ok(!isDnsLabel(label), label);
  }
});

test("a DNS name is labels with dots between, and cannot be taken for an address", () => {
  for (const name of ["localhost", "derp.example.com", "1.example.com", "901a.derpkit.internal"]) {
    assert.ok(isDnsName(name), name);
  }
  for (const name of ["", ".", "a.", ".a", "a..b", "127.0.0.1", "::1", "a b", `${"a.".repeat(127)}ab`]) {
    assert.ok(!isDnsName(name), name);
  }
});

test("text for people may hold any script, and nothing that breaks a line or hides", () => {
  for (const text of ["Alfa", "Nürnberg, Halle 2", "東京", "R&D <lab>", "🚀"])
    assert.ok(isHumanText(text), text);
  for (const text of ["", " a", "a ", "a\tb", "a\u2028b", "a\u001b[31m", "\ud800", "a".repeat(101)]) {
    assert.ok(!isHumanText(text), JSON.stringify(text));
  }
});

test("a day is one that the calendar has", () => {
  for (const text of ["2026-12-31", "2028-02-29"]) assert.ok(isDate(text), text);
  for (const text of ["2026-02-29", "2026-13-01", "2026-1-1", "2026-12-31T00:00Z", "", "soon"]) {
    assert.ok(!isDate(text), text);
  }
});
