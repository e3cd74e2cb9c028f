import assert from "node:assert/strict";
import { test } from "node:test";
import { type RelayStatus, renderStatus } from "./relay-status.ts";

const now = Date.parse("2026-11-30T12:00:00Z");
const status: RelayStatus = {
  health: { ok: true, version: "0.1.0", bundle: null, state: "serving" },
  connections: 7,
  homeConnections: 5,
  certificates: [],
  updater: null,
  uptimeSeconds: 61.9,
};

function rendered(changes: Partial<RelayStatus>): Record<string, unknown> {
  return JSON.parse(renderStatus({ ...status, ...changes }, now)) as Record<string, unknown>;
}

test("it says what /healthz says, how many clients are here, and for how long the relay runs", () => {
  const health = { ...status.health, state: "unhealthy", ok: false, failing: ["stun-ipv4"] };
  assert.deepEqual(rendered({ health }), {
    ok: false,
    version: "0.1.0",
    bundle: null,
    state: "unhealthy",
    connections: 7,
    homeConnections: 5,
    certificates: [],
    updater: null,
    uptimeSeconds: 61,
  });
});

test("a certificate has its end and the whole days until then, below 0 once it is over", () => {
  const certificates = [
    { name: "relay.example", notAfter: Date.parse("2026-12-30T11:59:59Z"), renewal: undefined },
    { name: "192.0.2.1", notAfter: now - 1, renewal: undefined },
    { name: "new.example", notAfter: undefined, renewal: undefined },
  ];
  assert.deepEqual(rendered({ certificates })["certificates"], [
    { name: "relay.example", notAfter: "2026-12-30T11:59:59.000Z", daysLeft: 29 },
    { name: "192.0.2.1", notAfter: "2026-11-30T11:59:59.999Z", daysLeft: -1 },
    { name: "new.example", notAfter: null, daysLeft: null },
  ]);
});

test("the updater's status is shown whole, messages included, and as unknown where it cannot be read", () => {
  const updater = {
    format: 1 as const,
    state: "refused" as const,
    sequence: 3,
    secrets: 2,
    version: null,
    digest: null,
    refusals: [{ code: "bundle-tampered", message: "relay.mjs has another digest." }],
    at: "2026-11-30T11:00:00Z",
  };
  assert.deepEqual(rendered({ updater })["updater"], updater);
  assert.deepEqual(rendered({ updater: undefined })["updater"], { state: "unknown" });
});
