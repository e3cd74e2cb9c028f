import assert from "node:assert/strict";
import { test } from "node:test";
import { createSelfProbes } from "./self-probes.ts";
import { readSettings } from "./settings.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";
import { parseRelayConfig } from "./config/load.ts";

const about = { version: "1.0.0", bundle: null };

test("a relay is serving, unhealthy with what fails, or stopping, whatever else it is", async (t) => {
  const config = parseRelayConfig('{"hostname":"relay.example","certMode":"pinned"}', {});
  const settings = await readSettings(config, { stateDirectory: temporaryFolder(t), env: {}, log: () => {} });
  const probes = createSelfProbes(settings, {
    log: () => {},
    now: () => 0,
    everyMs: undefined,
  });
  const said = (): unknown[] => [
    probes.describe(about, false),
    probes.describe(about, true),
    probes.isSilent(),
  ];
  const serving = { ok: true, ...about, state: "serving" };
  const stopping = { ok: false, ...about, state: "stopping" };
  assert.deepEqual(said(), [serving, stopping, false]);
  probes.health.note("stun-ipv4", undefined, 0);
  for (const now of [1, 2, 3]) probes.health.note("stun-ipv4", "nobody answered", now);
  const unhealthy = { ok: false, ...about, state: "unhealthy", failing: ["stun-ipv4"] };
  assert.deepEqual(said(), [unhealthy, stopping, true]);
});
