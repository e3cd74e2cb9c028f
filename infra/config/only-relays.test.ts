import assert from "node:assert/strict";
import { test } from "node:test";
import type { Members } from "./raw.ts";
import { checkOnlyRelays } from "./only-relays.ts";

const fsn = { id: 901, code: "alfa", name: "Alfa", cloud: "hetzner", location: "fsn1" };
const hel = { ...fsn, id: 902, code: "bravo", location: "hel1" };

/** What is wrong with a fleet that leaves Tailscale's regions out. */
function problemsOf(fleet: Members): string[] {
  const problems: string[] = [];
  const omitting = { omitDefaultRegions: true, iUnderstandTheseAreMyOnlyRelays: true, ...fleet };
  checkOnlyRelays(omitting, (path, message) => void problems.push(`${path}: ${message}`));
  return problems;
}

test("two regions in different places do, at different clouds or at one", () => {
  assert.deepEqual(problemsOf({ regions: [fsn, hel] }), []);
  assert.deepEqual(problemsOf({ regions: [fsn, { ...hel, cloud: "aws", location: "eu-north-1" }] }), []);
});

test("nobody has to know anything while Tailscale's regions stay", () => {
  assert.deepEqual(
    problemsOf({ omitDefaultRegions: false, iUnderstandTheseAreMyOnlyRelays: false, regions: [] }),
    [],
  );
});

test("who leaves them out says that they know what it means", () => {
  assert.match(
    problemsOf({ iUnderstandTheseAreMyOnlyRelays: undefined, regions: [fsn, hel] }).join(),
    /^derpkit:omitDefaultRegions: .*iUnderstandTheseAreMyOnlyRelays: true as well$/,
  );
});

for (const [what, fleet] of [
  ["in one place", { regions: [fsn, { ...hel, location: "fsn1" }] }],
  ["of which one is draining", { regions: [fsn, { ...hel, state: "draining" }] }],
  ["of which one is a canary", { regions: [fsn, { ...hel, state: "canary" }] }],
  [
    "of which one has its gate skipped",
    { regions: [fsn, { ...hel, skipGate: { reason: "flooded", until: "2026-12-31" } }] },
  ],
  ["whose gates are all skipped", { gate: "skip", regions: [fsn, hel] }],
  ["of which one has a pin that is not known", { regions: [fsn, { ...hel, certificates: "pinned" }] }],
  [
    "on this machine",
    { regions: [901, 902].map((id) => ({ ...fsn, id, cloud: "local", location: undefined })) },
  ],
] as const) {
  test(`two regions ${what} are too few`, () => {
    assert.match(problemsOf(fleet).join(), /^derpkit:regions: is too little for omitDefaultRegions/);
  });
}

test("leaving out single regions beside all of them has no effect", () => {
  assert.match(
    problemsOf({ dropTailscaleRegions: [1], regions: [fsn, hel] }).join(),
    /^derpkit:dropTailscaleRegions: has no effect/,
  );
});
