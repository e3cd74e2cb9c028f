/** What the clients of a region's first relay do when it is gone: they go to the next one. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Endpoint } from "../relay/client/dial.ts";
import { readMetrics } from "./conformance/metrics.ts";
import { eventually } from "./eventually.ts";
import { becomesRefused } from "./refusal.ts";
import type { RelayProcess } from "./relay-process.ts";
import { withTailnet } from "./tailnet-meanwhile.ts";
import { buildTestMap, type TestNode } from "./test-map.ts";

/** From the first connection that the first relay refuses, until packets go by the next one. */
const limitMs = 5_000;
const goneWithinMs = 120_000;
const patienceMs = 60_000;

export interface TwoRelays {
  readonly first: TestNode;
  /** It has no clients but those of this. */
  readonly next: RelayProcess;
}

/** Has real clients use the first relay, ends that, and measures how soon they are at the next. @param end does not wait */
export async function leaveForNextNode(
  t: TestContext,
  { first, next }: TwoRelays,
  end: () => void,
): Promise<void> {
  const { files, derpPort, stunPort } = next;
  const place = { derpPort, hostName: files.hostName };
  const second = {
    ...place,
    name: `${first.name}-next`,
    region: first.region,
    certName: files.pin,
    stunPort,
  };
  const endpoint: Endpoint = { address: first.address ?? "127.0.0.1", port: first.derpPort };
  const clientsThere = async (): Promise<number> => (await readMetrics(place)).get("derp_clients_local") ?? 0;
  const packetsThere = async (): Promise<number> => (await readMetrics(place)).get("derp_packets_sent") ?? 0;

  await withTailnet(t, { map: buildTestMap([first, second]), last: next }, async ([one, other]) => {
    assert.deepEqual(
      [await clientsThere(), await packetsThere()],
      [0, 0],
      "clients begin at the first relay",
    );
    const beganAt = performance.now();
    end();
    const refusedAt = await becomesRefused(endpoint, AbortSignal.timeout(goneWithinMs));
    const giveUp = AbortSignal.timeout(patienceMs);
    // Nobody sends anything before both are there: a client that does looks for a relay sooner.
    await eventually("both clients are at the next relay", async () => (await clientsThere()) === 2);
    const thereAt = performance.now();
    const heardAt = Math.max(
      ...(await Promise.all([one.hearsFrom(other, giveUp), other.hearsFrom(one, giveUp)])),
    );
    const since = (moment: number): string => `${((moment - refusedAt) / 1_000).toFixed(2)} s`;
    t.diagnostic(
      `the first relay refused ${((refusedAt - beganAt) / 1_000).toFixed(1)} s after its end began; from then both clients were at the next one within ${since(thereAt)}, and packets went to and fro within ${since(heardAt)}`,
    );
    assert.ok((await packetsThere()) > 0);
    assert.ok(heardAt - refusedAt <= limitMs, `packets went by the next relay after ${since(heardAt)}`);
  });
}
