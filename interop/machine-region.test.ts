/**
 * A region of two relays, the first of them on a real Debian machine that runs Node from its first boot, and then Bun, the next one
 * a process of this machine: an upgrade, and the ways in which the first relay goes while clients of Tailscale use it. Needs a
 * machine that can be booted, a network to it, and Go's clients of Tailscale.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import timers from "node:timers/promises";
import type { RuntimeName } from "../infra/bootstrap/runtimes.ts";
import { relayBundle } from "../infra/delivery/relay-bundle.ts";
import { relayUnit } from "../relay/agent/places.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { HandshakeFlood } from "./handshake-flood.ts";
import { Herd } from "./herd.ts";
import { hostName, MachineDelivery, node } from "./machine-delivery.ts";
import { readPin, type Relay, relayThat, runs, takes } from "./machine-relay.ts";
import { upgradeInUse } from "./machine-upgrade.ts";
import { attachWire, whyNoWire } from "./machine-wire.ts";
import { leaveForNextNode } from "./next-node.ts";
import { createPlace, startRelayProcess } from "./relay-process.ts";
import { whyNoTailnetCheck } from "./tailnet-check.ts";
import { freePort } from "./test-ports.ts";
import { VirtualMachine, whyNoMachine } from "./virtual-machine.ts";

const timeout = 1_200_000;
const floodMs = 60_000;
const pingEveryMs = 5_000;
const pingWithinMs = 30_000;

describe(
  "a region whose first node is a machine of its own that runs Node",
  { skip: whyNoMachine ?? whyNoWire ?? false, timeout },
  () => {
    let delivery: MachineDelivery;
    let machine: VirtualMachine;
    let derpPort = 0;
    let pin = "";
    /** On the network between the machines, where nobody accepts in its place. */
    let address = "";
    const folder = temporaryFolder({ after });

    const place = () => ({ files: { hostName, pin }, derpPort });
    const shell = (text: string): Promise<string> => delivery.server.command(text);

    before(
      async () => {
        delivery = await MachineDelivery.start(path.join(folder, "delivery"), "node");
        await delivery.publish();
        derpPort = await freePort("tcp");
        machine = await VirtualMachine.boot({
          userData: delivery.userData,
          tcp: { [derpPort]: 443 },
          udp: {},
        });
      },
      { timeout },
    );
    after(async () => {
      await machine[Symbol.asyncDispose]();
      await delivery[Symbol.asyncDispose]();
    });

    test("it boots, and its relay serves, on Node", { timeout }, async () => {
      await runs(derpPort, await relayBundle());
      pin = await readPin(derpPort);
      address = await attachWire(machine, delivery.server);
      assert.match(
        await shell(`$(readlink /proc/$(systemctl show -P MainPID ${relayUnit})/exe) --version`),
        /^v24\./,
      );
    });

    test(
      "an upgrade refuses nobody, and its clients are back within seconds",
      { timeout },
      async (t) => await upgradeInUse(t, delivery, place(), await relayThat("b")),
    );

    /** What ends the first relay for a while, what its sockets and its timer then are, and what brings it back. */
    const ends: Readonly<Record<string, readonly [end: string, states: string, back: string]>> = {
      "crashes again and again": [
        `timeout 100 sh -c 'until systemctl is-failed -q derpkit-derp.socket; do systemctl kill -s KILL ${relayUnit}; sleep 1; done'`,
        "failed failed active",
        // Its timer does.
        "true",
      ],
      "drains and is stopped for good": [
        `systemctl stop ${relayUnit}`,
        "inactive inactive inactive",
        `systemctl start ${relayUnit}`,
      ],
    };

    // What machines have unless a stack says otherwise. With "node" in its place the same holds, and is tried by hand.
    const runtime: RuntimeName = "bun";

    test(`it runs on ${runtime}`, { timeout }, async () => {
      await delivery.publish({ relay: await relayAfter(), runtime });
      // What ends while it is being tried is gone back from.
      await takes(delivery);
      await runs(derpPort, await relayAfter());
    });

    /** Other bytes than before, so that it is seen which of them runs. */
    const relayAfter = (): Promise<Relay> => relayThat(`on-${runtime}`);

    for (const [what, [end, states, back]] of Object.entries(ends)) {
      test(
        `on ${runtime}: Tailscale's clients are at the next node within 5 s when the first one ${what}`,
        { timeout, skip: whyNoTailnetCheck },
        async (t) => {
          const next = await startNext(t);
          const first = {
            name: node,
            region: 901,
            hostName,
            certName: pin,
            derpPort: 443,
            stunPort: 3478,
            address,
          };
          // Its timer looks a minute after it has looked last, or has been started: after all this.
          await shell("systemctl start derpkit-retry.service; systemctl restart derpkit-retry.timer");
          const units = "derpkit-derp.socket derpkit-stun.socket derpkit-retry.timer";
          let said = Promise.resolve("");
          await leaveForNextNode(t, { first, next }, () => {
            said = shell(`${end}; systemctl is-active ${units}`);
          });
          assert.equal((await said).trim().split("\n").slice(-3).join(" "), states);
          await shell(back);
          await runs(derpPort, await relayAfter());
          assert.match(await shell("systemctl is-active derpkit-retry.timer"), /^active/);
        },
      );
    }

    test(
      `on ${runtime}: a minute's flood of TLS handshakes ends neither the relay nor the sessions that are there`,
      { timeout },
      async (t) => {
        const process = () => shell(`systemctl show -P MainPID -P NRestarts -P ActiveState ${relayUnit}`);
        const sound = await process();
        await using herd = new Herd(place());
        herd.grow(20);
        await herd.becomes(20, t.signal);
        const calm = { failures: herd.failures, longestGap: herd.longestGap };
        const flood = new HandshakeFlood({ address, port: 443 }, hostName);
        let slowest = 0;
        try {
          for (const endAt = performance.now() + floodMs; performance.now() < endAt;) {
            await timers.setTimeout(pingEveryMs);
            const askedAt = performance.now();
            assert.equal(await herd.ping(AbortSignal.timeout(pingWithinMs)), 20);
            slowest = Math.max(slowest, performance.now() - askedAt);
          }
        } finally {
          await flood[Symbol.asyncDispose]();
        }
        const endedAt = performance.now();
        herd.grow(1);
        await herd.becomes(21, AbortSignal.timeout(pingWithinMs));
        const newcomer = performance.now() - endedAt;
        const kinds = Object.entries(flood.counts).map(([kind, count]) => `${count} ${kind}`);
        t.diagnostic(
          `${kinds.join(", ")}, and ${flood.failures} that came to nothing; the slowest Pong of 20 clients after ${Math.round(slowest)} ms; a newcomer in ${Math.round(newcomer)} ms after its end; process, restarts, state: ${sound.split("\n").join(" ")}`,
        );
        assert.equal(await herd.ping(AbortSignal.timeout(pingWithinMs)), 21);
        const { failures, longestGap, reasons } = herd;
        assert.deepEqual({ failures, longestGap }, calm, reasons.join("\n"));
        assert.equal(await process(), sound);
        assert.ok(Object.values(flood.counts).every((count) => count > 0));
      },
    );

    async function startNext(t: TestContext) {
      const nextPlace = await createPlace(t, "901b.derpkit.internal", undefined);
      return await startRelayProcess(t, { ...nextPlace, kind: "node", flags: { "self-probe": "false" } });
    }
  },
);
