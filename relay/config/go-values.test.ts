import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "./duration.ts";
import { parseGoBoolean, parseGoFloat, parseGoInt } from "./go-values.ts";

// Each table is what Go 1.26's package flag makes of the texts.

test("booleans are Go's", () => {
  for (const text of ["1", "t", "T", "TRUE", "true", "True"]) assert.equal(parseGoBoolean(text), true, text);
  for (const text of ["0", "f", "F", "FALSE", "false", "False"])
    assert.equal(parseGoBoolean(text), false, text);
  for (const text of ["", "tRUE", "yes", "on", " 1"]) assert.equal(parseGoBoolean(text), undefined, text);
});

test("whole numbers are Go's, with prefixes and underscores", () => {
  const table = {
    "0": 0,
    "+80": 80,
    "-1": -1,
    "0x1bb": 443,
    "0x_1": 1,
    "0B11": 3,
    "0o10": 8,
    "010": 8,
    "0_10": 8,
    "1_000": 1_000,
    "9223372036854775807": 2 ** 63,
  };
  for (const [text, value] of Object.entries(table)) assert.equal(parseGoInt(text), value, text);
  for (const text of ["", "_1", "1_", "1__0", "0x", "08", "1e3", " 1", "1.0", "9223372036854775808", "--1"])
    assert.equal(parseGoInt(text), undefined, text);
});

test("fractions are Go's, and so is infinity", () => {
  const table = {
    "+Inf": Infinity,
    inf: Infinity,
    Infinity: Infinity,
    "-INF": -Infinity,
    "1e3": 1_000,
    "1_0.5_0": 10.5,
    "0_1": 1,
    ".5": 0.5,
    "5.": 5,
    "+5": 5,
  };
  for (const [text, value] of Object.entries(table)) assert.equal(parseGoFloat(text), value, text);
  for (const text of ["", ".", "_1", "1__0", "1_.5", "1e", "infin", "0x10", "1e400", " 1"])
    assert.equal(parseGoFloat(text), undefined, text);
});

test("durations are Go's", () => {
  const table = {
    "2s": 2_000,
    "+2s": 2_000,
    "-2s": -2_000,
    "1m30s": 90_000,
    "1.5h": 5_400_000,
    "500ms": 500,
    ".5s": 500,
    "5.s": 5_000,
    "0": 0,
    "10us": 0.01,
    "1µs": 0.001,
    "1μs": 0.001,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
  for (const text of ["", "2", "s", ".s", "2 s", "1.2.3s", "2x", "2s2", "1d", "1e3s", "2562048h"])
    assert.equal(parseDuration(text), undefined, text);
});
