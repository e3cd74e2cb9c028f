/** Statement 121: what 10,000 clients cost that do nothing. */
import assert from "node:assert/strict";
import { residentMemory } from "../../scripts/bench/memory.ts";
import { mayOpen } from "../../scripts/bench/programs.ts";
import { loadOwn, whileIdle } from "../../scripts/bench/run-case.ts";
import type { RelayKind } from "./relay-under-test.ts";
import { ownRelay, perRelay } from "./suite.ts";

const count = 10_000;
const openFiles = count + 500;
/** Every connection gets its first KeepAlive meanwhile: 65 s after its login at the latest. */
const seconds = 70;
/** KiB of a connection. On Node.js, OpenSSL's part alone is more than 40. */
const most: Readonly<Record<RelayKind, number>> = { derper: 100, node: 100, bun: 63 };

perRelay(
  "121. Given 10 000 idle connections, then KeepAlives are spread over 60–65 s, memory per connection is below derper's 63–100 KiB and the event loop stays responsive.",
  {
    slow: true,
    skip: (await mayOpen(openFiles, AbortSignal.timeout(5_000)))
      ? undefined
      : `\`ulimit -n ${openFiles}\` is refused`,
  },
  async (t, kind) => {
    const relay = await ownRelay(t, kind, { hostName: "127.0.0.1" });
    const target = { hostName: relay.hostName, port: relay.derpPort, pin: relay.pin, pid: relay.pid };
    const client = { openFiles, cpus: undefined, enter: (command: readonly string[]) => command };
    const empty = await residentMemory(relay.pid);
    const { during, after } = await whileIdle({ task: "idle", target, count }, client, t.signal, async () => {
      const perConnection = (((await residentMemory(relay.pid)) - empty) * 1_024) / count;
      const { pingP50 = Infinity } = await loadOwn(
        { task: "ping", target, everyMs: 20, seconds },
        client,
        t.signal,
      );
      return { perConnection, pingP50 };
    });
    t.diagnostic(JSON.stringify({ ...during, ...after }));
    const { alive = 0, crowding = 100, firstKeepAlive = 0, lastKeepAlive = Infinity } = after;
    assert.equal(alive, 100);
    assert.ok(firstKeepAlive >= 59.5 && lastKeepAlive < 67, "KeepAlives come after 60 to 65 s");
    assert.ok(crowding <= 33, "they are spread: evenly, a second has a fifth of them");
    assert.ok(during.perConnection < most[kind], `a connection takes less than ${most[kind]} KiB`);
    // Generator and relays share the processors here: a loop that is blocked by its connections takes longer still.
    assert.ok(during.pingP50 < 50, "a ping is answered while they are here");
  },
);
