/** A relay is gone for a moment: all of its clients come back at once, and it takes them all in. */
import assert from "node:assert/strict";
import process from "node:process";
import test, { type TestContext } from "node:test";
import { type RelayKind, relayKinds, whyMissing } from "./conformance/relay-under-test.ts";
import { Herd } from "./herd.ts";
import { createPlace, startRelayProcess } from "./relay-process.ts";

const clients = 2_000;
const limitMs = 30_000;
/** The first time they come in groups. */
const group = 100;
/** The test has the clients' ends of the connections, the relay the others, and each some files besides. */
const openFiles = clients + 200;

/** What derper took, if it is there: it comes first. */
let derperSeconds: number | undefined;

for (const kind of relayKinds) {
  test(
    `2,000 clients from one address are back within 30 s when their relay (${kind}) is killed and started again`,
    { skip: whyMissing(kind) ?? whyTooFewFiles(), timeout: 180_000 },
    async (t) => {
      const seconds = await timeReturn(t, kind);
      t.diagnostic(`all clients were back ${seconds.toFixed(1)} s after the relay (${kind}) was killed`);
      if (kind === "derper") derperSeconds = seconds;
      else if (derperSeconds !== undefined)
        t.diagnostic(`that is ${(seconds / derperSeconds).toFixed(1)} times what they needed with derper`);
    },
  );
}

/** @returns the seconds from the relay's end until each client is logged in again */
async function timeReturn(t: TestContext, kind: RelayKind): Promise<number> {
  const place = await createPlace(t, "relay.derpkit.internal", undefined);
  const relay = await startRelayProcess(t, { ...place, kind });
  await using herd = new Herd(place);
  for (let count = group; count <= clients; count += group) {
    herd.grow(group);
    await herd.becomes(count, t.signal);
  }
  const failuresBefore = herd.failures;
  const killedAt = performance.now();
  const limit = AbortSignal.timeout(limitMs);
  await relay.kill();
  await herd.becomes(0, limit);
  await relay.restart();
  await herd.becomes(clients, limit);
  const seconds = (performance.now() - killedAt) / 1_000;
  assert.equal(await herd.ping(t.signal), clients);
  t.diagnostic(`${herd.failures - failuresBefore} attempts to log in failed on the way`);
  return seconds;
}

/** Why a process cannot have so many connections here; false if it can. Node raises its limit as far as it may. */
function whyTooFewFiles(): string | false {
  const report = process.report.getReport() as { userLimits: { open_files: { soft: number | "unlimited" } } };
  const { soft } = report.userLimits.open_files;
  if (soft === "unlimited" || soft >= openFiles) return false;
  return `a process needs ${openFiles} open files, and may have ${soft} (ulimit -Hn)`;
}
