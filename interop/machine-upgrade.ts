/** An upgrade of a test's machine while its relay is in use. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { relayUnit } from "../relay/agent/places.ts";
import { Attempts } from "./attempts.ts";
import { eventually } from "./eventually.ts";
import { Herd, type HerdPlace } from "./herd.ts";
import type { MachineDelivery } from "./machine-delivery.ts";
import { loggedAt, type Relay, runs } from "./machine-relay.ts";

const clients = 50;
const logins = 1_000;
/** Of a login, beside the start of the relay that takes it: that is the processor's affair, which is emulated and shared. */
const slowestMs = 8_000;
const awayMs = 15_000;

/** Publishes a relay and has it installed. Nobody is refused meanwhile, and who was there is back within seconds. */
export async function upgradeInUse(
  t: TestContext,
  delivery: MachineDelivery,
  place: HerdPlace,
  relay: Relay,
): Promise<void> {
  await using herd = new Herd(place);
  herd.grow(clients);
  await herd.becomes(clients, t.signal);
  await using attempts = new Attempts(place);
  await delivery.publish({ relay });
  await delivery.server.command("systemctl reload derpkit-updater.service");
  await runs(place.derpPort, relay);
  await herd.becomes(clients, AbortSignal.timeout(60_000));
  await eventually(
    `there were ${logins} attempts`,
    () => attempts.count + attempts.failures.length >= logins,
  );
  const { server } = delivery;
  const startedAt = await loggedAt(server, relayUnit, "Starting derpkit-relay.service");
  const start = (await loggedAt(server, relayUnit, " serves ")) - startedAt;
  t.diagnostic(
    `${attempts.count} logins, the slowest ${Math.round(attempts.slowest)} ms; longest gap of ${clients} clients ${Math.round(herd.longestGap)} ms; the relay started in ${Math.round(start)} ms`,
  );
  // Of those who were there and came back, one of fifty was cut off at its first try in one of four runs, and was in at the next.
  for (const reason of herd.reasons) t.diagnostic(`a client that came back had to try again: ${reason}`);
  assert.deepEqual(attempts.failures, []);
  const waited = attempts.slowest - start;
  assert.ok(waited <= slowestMs, `the slowest login took ${waited} ms beside the relay's start`);
  assert.ok(herd.longestGap <= awayMs, `a client was away for ${herd.longestGap} ms`);
}
