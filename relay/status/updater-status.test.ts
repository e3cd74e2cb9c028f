import assert from "node:assert/strict";
import { test } from "node:test";
import { errorTable } from "../errors.ts";
import { countUpdater, parseUpdaterStatus, summariseUpdater, type UpdaterStatus } from "./updater-status.ts";

const status: UpdaterStatus = {
  format: 1,
  state: "refused",
  sequence: 123,
  secrets: 7,
  version: "0.1.0+0123456789ab",
  digest: "0f".repeat(32),
  refusals: [
    { code: "manifest-signature", message: "The manifest of https://store.example/901 is not signed." },
    { code: "delivery-unreadable", message: "Nobody answers." },
  ],
  at: "2026-11-30T21:00:00Z",
};
const fresh: UpdaterStatus = {
  ...status,
  state: "updating",
  sequence: null,
  secrets: null,
  version: null,
  digest: null,
  refusals: [],
};

test("a status is read as it was written, and what a newer updater adds is left out", () => {
  for (const written of [status, fresh, { ...status, at: "2026-11-30T21:00:00.123Z" }])
    assert.deepEqual(parseUpdaterStatus(JSON.stringify(written)), written);
  assert.deepEqual(parseUpdaterStatus(JSON.stringify({ ...status, colour: "red" })), status);
});

test("an updater from before there were sealed secrets has none", () => {
  const { secrets: _, ...written } = status;
  assert.equal(parseUpdaterStatus(JSON.stringify(written))?.secrets, null);
});

test("every code of the table of errors is one that a status may have", () => {
  for (const code of Object.keys(errorTable)) {
    const written = { ...status, refusals: [{ code, message: "" }] };
    assert.deepEqual(parseUpdaterStatus(JSON.stringify(written)), written, code);
  }
});

test("what is no status is none", () => {
  const wrong: Record<string, unknown>[] = [
    { format: 2 },
    { state: "well" },
    { sequence: -1 },
    { sequence: 1.5 },
    { sequence: undefined },
    { secrets: -1 },
    { version: 1 },
    { digest: "0F".repeat(32) },
    { digest: "0f" },
    { refusals: undefined },
    { refusals: [{ code: "<b>", message: "" }] },
    { refusals: [{ code: "a".repeat(65), message: "" }] },
    { refusals: [{ code: "manifest-signature" }] },
    { at: "yesterday" },
    { at: 1_795_361_986 },
  ];
  for (const change of wrong)
    assert.equal(
      parseUpdaterStatus(JSON.stringify({ ...status, ...change })),
      undefined,
      JSON.stringify(change),
    );
  for (const text of ["", "{", "[]", "null", '"current"'])
    assert.equal(parseUpdaterStatus(text), undefined, text);
});

test("everybody may know the state, the sequence and the first refusal's code, and nothing else", () => {
  assert.deepEqual(summariseUpdater(status), {
    state: "refused",
    sequence: 123,
    secrets: 7,
    code: "manifest-signature",
  });
  assert.deepEqual(summariseUpdater(fresh), { state: "updating", sequence: null, secrets: null, code: null });
  assert.deepEqual(summariseUpdater(undefined), {
    state: "unknown",
    sequence: null,
    secrets: null,
    code: null,
  });
});

test("metrics have what is known, and nothing where nobody says anything", () => {
  const now = Date.parse("2026-11-30T21:01:30.500Z");
  assert.deepEqual(countUpdater(status, now), { sequence: 123, refused: true, ageSeconds: 90.5 });
  assert.deepEqual(countUpdater(fresh, now), { sequence: undefined, refused: false, ageSeconds: 90.5 });
  assert.equal(countUpdater(undefined, now), undefined);
});
