import assert from "node:assert/strict";
import { test } from "node:test";
import { renderStatus } from "./status.ts";

const at = new Date("2026-11-30T12:00:00Z");
const running = { digest: "ab".repeat(32), sha256: "cd".repeat(32), version: "0.1.0+0123456789ab" };
const stateOf = (
  codes: readonly ("delivery-unreadable" | "manifest-signature")[],
  isTrying = false,
): string =>
  JSON.parse(
    renderStatus(
      { running, sequence: 7, secrets: 3, refusals: codes.map((code) => ({ code, message: "why" })) },
      isTrying,
      at,
    ),
  ).state;

test("a status says what runs, which manifest was accepted, and why a newer one was not", () => {
  const text = renderStatus(
    { running, sequence: 7, secrets: 3, refusals: [{ code: "manifest-signature", message: "not signed" }] },
    false,
    at,
  );
  assert.deepEqual(JSON.parse(text), {
    format: 1,
    state: "refused",
    sequence: 7,
    secrets: 3,
    version: running.version,
    digest: running.sha256,
    refusals: [{ code: "manifest-signature", message: "not signed" }],
    at: "2026-11-30T12:00:00.000Z",
  });
  assert.ok(text.endsWith("}\n"));
});

test("a delivery that cannot be reached is told from one that is refused, and both from a trial", () => {
  assert.equal(stateOf([]), "current");
  assert.equal(stateOf(["delivery-unreadable"]), "unreachable");
  assert.equal(stateOf(["delivery-unreadable", "manifest-signature"]), "refused");
  assert.equal(stateOf([], true), "updating");
});

test("before anything was accepted there is nothing to tell", () => {
  const { sequence, secrets, version, digest } = JSON.parse(
    renderStatus({ running: undefined, sequence: undefined, secrets: undefined, refusals: [] }, false, at),
  );
  assert.deepEqual([sequence, secrets, version, digest], [null, null, null, null]);
});
