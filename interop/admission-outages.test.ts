/**
 * Who decides on admission fails: nobody who is connected notices, nobody new comes in, and afterwards all is as before,
 * without anybody touching the relay.
 *
 * Real time goes by: the relay uses an answer again for 30 s and a device list for 60 s. The tests wait side by side.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { describe, test, type TestContext } from "node:test";
import timers from "node:timers/promises";
import { answerLifeMs } from "../relay/admission/answer-cache.ts";
import { confirmMs } from "../relay/admission/standing.ts";
import { garbage, hangUp, reply } from "../relay/outbound/testing/servers.ts";
import { generatePrivateKey, type PrivateKey, publicKeyOf } from "../relay/crypto/keys.ts";
import { type Oracle, renderList, startApi, startList, startTailscaled } from "./admission-oracles.ts";
import { join, type Place } from "./conformance/client.ts";
import { Ended } from "./conformance/incoming.ts";
import {
  type RelayKind,
  type RelayUnderTest,
  startRelayUnderTest,
  whyMissing,
} from "./conformance/relay-under-test.ts";
import { ownFiles } from "./conformance/suite.ts";
import { eventually } from "./eventually.ts";
import { whyNoTailnetCheck } from "./tailnet-check.ts";

const timeout = 300_000;
/** Of a client that is not asked whether it is still there: the one of the tests does not answer by itself. */
const info = '{"version":2}';
/** So long an outage goes on after a session has met it: whoever is denied when asked about again does not stay so long. */
const outlastsMs = answerLifeMs.allow + confirmMs + 5_000;
const kinds = ["node", "bun"] as const;
// Each relay has a listener that ends it with this process.
process.setMaxListeners(100);

describe("when who decides on admission fails", { concurrency: true, timeout }, () => {
  const api = { start: startApi, notice: /device list cannot be read/, remembers: true };
  survives("the Tailscale API is down", api, (oracle) => oracle.leave());
  survives("the Tailscale API answers 429", api, (oracle) => oracle.answer(reply(429, "slow down")));
  survives("the Tailscale API answers something that is not HTTP", api, (oracle) => oracle.answer(garbage));
  survives("the Tailscale API hangs up", api, (oracle) => oracle.answer(hangUp));
  survives("the Tailscale API answers with a web page", api, (oracle) => oracle.answer(reply(200, "<html>")));
  survives("the Tailscale API lists no device", api, (oracle) => oracle.answer(reply(200, '{"devices":[]}')));

  const list = { start: startList, notice: /the allow-list .* is not used/, remembers: true };
  survives("the allow-list is empty", list, ({ file }) => writeFile(file, ""));
  survives("the allow-list is half written", list, ({ file }) => {
    const text = renderList([generatePrivateKey(), generatePrivateKey()].map(publicKeyOf));
    return writeFile(file, text.slice(0, -20));
  });
  survives("the allow-list is deleted", list, ({ file }) => rm(file));

  const notice = /admission by tailscaled does not know/;
  const tailscaled = { start: startTailscaled, notice, remembers: false };
  survives("tailscaled is gone", tailscaled, (oracle) => oracle.leave());
  survives("tailscaled has just started", tailscaled, (oracle) => oracle.restart());
  const real = { ...tailscaled, skip: whyNoTailnetCheck };
  survives("a real tailscaled is not logged in", real, (oracle) => oracle.giveWay());

  // If this did not hold, the others would prove nothing.
  for (const kind of kinds) {
    test(
      `who is taken off the allow-list does not stay (${kind})`,
      { skip: whyMissing(kind) ?? false, timeout },
      async (t) => {
        const oracle = await startList(t);
        const [alice, bob] = [generatePrivateKey(), generatePrivateKey()];
        await oracle.allow([alice, bob].map(publicKeyOf));
        const relay = await startRelay(t, kind, oracle);
        const { socket } = await join({ t, relay }, { privateKey: alice, info });
        const session = await join({ t, relay }, { privateKey: bob, info });
        const ended = once(socket, "close", { signal: t.signal });
        await oracle.allow([publicKeyOf(bob)]);
        await ended;
        await session.sync();
      },
    );
  }
});

interface Survival<O extends Oracle> {
  readonly start: (t: TestContext) => Promise<O>;
  /** What the relay's log says once the outage meets an open session. */
  readonly notice: RegExp;
  /** Those whom it last let in may also connect anew while it fails. */
  readonly remembers: boolean;
  readonly skip?: string | false;
}

/** Registers a test for each runtime. */
function survives<O extends Oracle>(
  outage: string,
  { start, notice, remembers, skip = false }: Survival<O>,
  begin: (oracle: O) => Promise<void> | void,
): void {
  for (const kind of kinds) {
    const title = `${outage}: who is connected stays, and new keys wait until it is over (${kind})`;
    test(title, { skip: whyMissing(kind) ?? skip, timeout }, async (t) => {
      const oracle = await start(t);
      const [alice, bob, stranger] = [generatePrivateKey(), generatePrivateKey(), generatePrivateKey()];
      await oracle.allow([publicKeyOf(alice)]);
      const relay = await startRelay(t, kind, oracle);
      const session = await join({ t, relay }, { privateKey: alice, info });
      assert.equal(await isAdmitted({ t, relay }, stranger), false);
      await begin(oracle);
      // Nobody comes now, so it is the open session that is asked about.
      await eventually(`the log says "${notice.source}"`, () => notice.test(relay.log()));
      assert.equal(await isAdmitted({ t, relay }, bob), false);
      assert.equal(await isAdmitted({ t, relay }, alice), remembers);
      await timers.setTimeout(outlastsMs);
      await session.sync();
      await oracle.allow([alice, bob].map(publicKeyOf));
      await eventually("the new key is let in", () => isAdmitted({ t, relay }, bob));
      await session.sync();
    });
  }
}

let lastStart: Promise<unknown> = Promise.resolve();

/** One after the other: each looks for free ports, and has to have them before the next one looks. */
function startRelay(t: TestContext, kind: RelayKind, oracle: Oracle): Promise<RelayUnderTest> {
  const start = lastStart.then(async () => {
    const flags = { "admission-recheck": "1s", ...oracle.flags };
    const relay = await startRelayUnderTest(kind, await ownFiles(t), { flags, env: oracle.env ?? {} });
    t.after(() => relay.stop());
    return relay;
  });
  lastStart = start.catch(() => {});
  return start;
}

async function isAdmitted(place: Place, privateKey: PrivateKey): Promise<boolean> {
  try {
    (await join(place, { privateKey })).socket.destroy();
    return true;
  } catch (error) {
    if (error instanceof Ended) return false;
    throw error;
  }
}
