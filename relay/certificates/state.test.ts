import assert from "node:assert/strict";
import { test } from "node:test";
import { initialState, parseState, renderState } from "./state.ts";

const fresh = initialState("relay.example", "settings");

function faultOf(text: string): string {
  const parsed = parseState(text, "relay.example");
  assert.ok("fault" in parsed, text);
  return parsed.fault;
}

test("a state is read as it was written", () => {
  assert.deepEqual(parseState(renderState(fresh), "relay.example"), { state: fresh });
});

test("a text that is no state of this version says where it is not", () => {
  for (const text of ["", "{", "null", "7", '"text"']) assert.match(faultOf(text), /all of it/);
  for (const [change, place] of [
    [{ version: 2 }, "version"],
    [{ version: undefined }, "version"],
    [{ failures: -1 }, "failures"],
    [{ failures: 0.5 }, "failures"],
    [{ attempts: [{ at: 1 }] }, "attempts.0.directory"],
    [{ forcedAt: 1e300 }, "forcedAt"],
    [{ forcedAt: "2026-01-01" }, "forcedAt"],
    [{ lastFailure: { kind: "bad luck", message: "", at: 1 } }, "lastFailure.kind"],
  ] as const) {
    const fault = faultOf(JSON.stringify({ ...fresh, ...change }));
    assert.equal(fault, `is not in the format of this version (${place})`);
  }
});

test("a state of another identifier is none", () => {
  const other = renderState(initialState("other.example", ""));
  assert.equal(faultOf(other), "is about other.example");
});
