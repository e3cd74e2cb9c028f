import assert from "node:assert/strict";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { parseRelayConfig } from "../config/load.ts";
import type { RelayConfigInput } from "../config/schema.ts";
import { KitError } from "../errors.ts";
import { createModes, type ModeContext } from "./modes.ts";
import { bench } from "./testing/cast.ts";

const minute = 60_000;

/** The names of the modes that a configuration gives. */
function namesOf(options: Partial<RelayConfigInput>, changes: Partial<ModeContext> = {}): string[] {
  const config = parseRelayConfig(undefined, { hostname: "a.example", certMode: "manual", ...options });
  const clock = bench();
  const context = {
    ...clock,
    resolve: (file: string) => file,
    env: {},
    trust: () => createSecureContext(),
    recheckMs: 5 * minute,
    staleMs: 1_440 * minute,
  };
  return createModes(config, { ...context, ...changes }).map(({ name }) => name);
}

/** Which options a configuration is refused for. */
function refusedFor(options: Partial<RelayConfigInput>, changes: Partial<ModeContext> = {}): string[] {
  try {
    return namesOf(options, changes).map((name) => `the mode ${name} was made`);
  } catch (error) {
    assert.ok(error instanceof KitError && error.code === "config-invalid", String(error));
    return error.problems.map((problem) => problem.path.replace(/ .*/, ""));
  }
}

test("the modes that are asked for are asked one after the other, those that cost least first", () => {
  assert.deepEqual(namesOf({}), []);
  const all = {
    verifyClientUrl: "https://headscale.example/verify",
    admissionApiClientId: "k123",
    admissionApiSecretFile: "secret",
    verifyClients: true,
    admissionList: "clients",
  };
  assert.deepEqual(namesOf(all), ["allow-list", "tailscaled", "tailnet-api", "verify-url"]);
});

test("an OAuth client without its secret, or a secret without its client, is a mistake and not an open relay", () => {
  const admissionApiClientId = "k123";
  assert.deepEqual(refusedFor({ admissionApiClientId }), ["admissionApiClientId"]);
  assert.deepEqual(refusedFor({ admissionApiSecretFile: "secret" }), ["admissionApiSecretFile"]);
  const env = { DERPKIT_ADMISSION_API_SECRET: "in the environment" };
  assert.deepEqual(namesOf({ admissionApiClientId }, { env }), ["tailnet-api"]);
});

test("sessions may live on unchecked for long enough that one failed check ends none", () => {
  const stale = (minutes: number, recheckMinutes: number): string[] =>
    refusedFor({}, { staleMs: minutes * minute, recheckMs: recheckMinutes * minute });
  for (const [minutes, recheckMinutes] of [
    [0, 0],
    [1, 0],
    [9, 5],
    [1_440, 1_440],
  ] as const)
    assert.deepEqual(stale(minutes, recheckMinutes), ["admissionStale"], `${minutes}`);
  assert.deepEqual([stale(2, 0), stale(10, 5), stale(2_880, 1_440)], [[], [], []]);
});
