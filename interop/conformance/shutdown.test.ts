/** What clients see of a relay that is asked to stop: section 6.8, and repair Q7. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { FrameType } from "../../relay/protocol/frame.ts";
import { join, type Place } from "./client.ts";
import type { RelayKind } from "./relay-under-test.ts";
import { ownRelay, perRelay } from "./suite.ts";

/** A relay whose clients do not have to wait for long. */
async function start(t: TestContext, kind: RelayKind): Promise<Place> {
  return { t, relay: await ownRelay(t, kind, kind === "derper" ? {} : { flags: { drain: "1s" } }) };
}

perRelay(
  "Q7. Given SIGTERM, then each client gets Restarting and is closed, one after the other, and the exit status is 0; derper's are closed without a word.",
  {},
  async (t, kind) => {
    const place = await start(t, kind);
    const clients = await Promise.all([join(place), join(place), join(place)]);
    const stopped = place.relay.stop();
    const waits: number[] = [];
    for (const client of clients) {
      for (const { type, payload } of await client.closed()) {
        assert.equal(type, FrameType.restarting);
        waits.push(payload.readUInt32BE(0));
      }
    }
    assert.deepEqual(
      waits.toSorted((a, b) => a - b),
      kind === "derper" ? [] : [333, 667, 1_000],
    );
    assert.equal(await stopped, 0);
  },
);

perRelay(
  "Q7. Given SIGTERM, then no new connection is taken, while packets still reach the clients that are here.",
  {},
  async (t, kind) => {
    const place = await start(t, kind);
    const [alice, bob] = [await join(place), await join(place)];
    const stopped = place.relay.stop();
    if (kind !== "derper") {
      for (const client of [alice, bob]) assert.equal((await client.next()).type, FrameType.restarting);
      alice.send(bob, "on the way out");
      await bob.receives(alice, "on the way out");
    } else await stopped;
    const late = connect({ host: "127.0.0.1", port: place.relay.derpPort });
    await assert.rejects(once(late, "connect"), { code: "ECONNREFUSED" });
    assert.equal(await stopped, 0);
  },
);
