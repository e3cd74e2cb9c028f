import assert from "node:assert/strict";
import { createSecureContext } from "node:tls";
import { test } from "node:test";
import { startTestRelay } from "../testing/running-relay.ts";
import { type AskedConfig, askRelay, parseAskedConfig } from "./health.ts";

const bundle = "ab".repeat(32);
const trust = createSecureContext({ minVersion: "TLSv1.2" });

/** The configuration by which a relay of a test is asked. */
const configOf = (running: { hostName: string; derpPort: number; stunPort: number }): AskedConfig =>
  parseAskedConfig(
    JSON.stringify({
      hostname: running.hostName,
      listen: `:${running.derpPort}`,
      stunPort: running.stunPort,
    }),
  );

test("a relay that serves the release's bundle is healthy", async (t) => {
  const running = await startTestRelay(t, {}, { bundle });
  await askRelay(configOf(running), bundle, trust, t.signal);
  assert.equal(running.relay.core.counters.accepts, 1, "somebody has logged in");
});

test("one that runs another bundle is not", async (t) => {
  const running = await startTestRelay(t, {}, { bundle });
  await assert.rejects(askRelay(configOf(running), "cd".repeat(32), trust, t.signal), /another bundle/);
});

test("one that answers no STUN, or lets nobody log in who may, is not", async (t) => {
  const quiet = await startTestRelay(t, { stun: false }, { bundle });
  const config = { ...configOf(quiet), stunPort: 9 };
  await assert.rejects(askRelay(config, bundle, trust, t.signal), /STUN/);
  const closed = await startTestRelay(
    t,
    { verifyClientUrl: "http://127.0.0.1:9/verify", verifyClientUrlFailOpen: false },
    { bundle },
  );
  await assert.rejects(askRelay(configOf(closed), bundle, trust, t.signal));
  await askRelay(
    { ...configOf(closed), verifyClientUrl: "http://127.0.0.1:9/verify" },
    bundle,
    trust,
    t.signal,
  );
});

test("a configuration with options of a later version is read as far as it is known", () => {
  const { hostname, listen, stunPort } = parseAskedConfig('{"hostname":"a.example","newOption":{"x":1}}');
  assert.deepEqual([hostname, listen, stunPort], ["a.example", ":443", 3478]);
});
