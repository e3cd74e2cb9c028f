/** Statements 102 and 103: whom a rate limit concerns, and what it does to the others. 100, 101 and 104 stand in admission. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { encodeSendPacket } from "../../relay/protocol/writer.ts";
import { type Client, join, type JoinOptions } from "./client.ts";
import { metricsBecome, readMetrics } from "./metrics.ts";
import { type RelayKind, type RelayUnderTest, startRelayUnderTest } from "./relay-under-test.ts";
import { ownFiles, perRelay } from "./suite.ts";

const meshKey = "0123456789abcdef".repeat(4);
const packet = Buffer.alloc(65_536, 1);
/** What the longest packet counts for: its destination does as well. No burst is smaller. */
const frame = 65_568;

interface Limited {
  readonly relay: RelayUnderTest;
  readonly enter: (options?: JoinOptions) => Promise<Client>;
  /** Puts another limit in force; 0 for none. */
  readonly change: (bytesPerSecond: number) => Promise<void>;
}

/** Starts a relay whose limit can be changed while it runs; one frame may come at once. */
async function startLimited(t: TestContext, kind: RelayKind, bytesPerSecond: number): Promise<Limited> {
  const files = await ownFiles(t);
  const [rateFile, keyFile] = ["rate.json", "mesh.key"].map((name) => path.join(files.folder, name));
  assert.ok(rateFile !== undefined && keyFile !== undefined);
  const write = (rate: number): Promise<void> =>
    writeFile(
      rateFile,
      JSON.stringify({ PerClientRateLimitBytesPerSec: rate, PerClientRateBurstBytes: frame }),
    );
  await write(bytesPerSecond);
  await writeFile(keyFile, meshKey);
  const flags = { "rate-config": rateFile, "mesh-psk-file": keyFile };
  const relay = await startRelayUnderTest(kind, files, { flags });
  t.after(() => relay.stop());
  return {
    relay,
    enter: (options) => join({ t, relay }, options),
    change: async (rate) => {
      await write(rate);
      process.kill(relay.pid, "SIGHUP");
      await metricsBecome(relay, { derp_rate_limit_per_client_bytes_per_second: rate });
    },
  };
}

async function timesWaited(relay: RelayUnderTest): Promise<number> {
  return (await readMetrics(relay)).get("derp_rate_limit_per_client_waited") ?? 0;
}

perRelay(
  "102. Given a reload, then existing clients (also duplicates) change, mesh clients never have a limiter, disabling removes it.",
  {},
  async (t, kind) => {
    const limited = await startLimited(t, kind, 0);
    const { relay } = limited;
    const privateKey = generatePrivateKey();
    const [one, other] = [await limited.enter({ privateKey }), await limited.enter({ privateKey })];
    const mesh = await limited.enter({ info: JSON.stringify({ meshKey, version: 2 }) });
    const bob = await limited.enter();
    /** Sends more than the burst. @returns whether somebody had to wait */
    const isHeldBack = async (client: Client): Promise<boolean> => {
      const before = await timesWaited(relay);
      for (let count = 0; count < 3; count++) client.send(bob, packet);
      for (let count = 0; count < 3; count++) await bob.receives(client, packet);
      return (await timesWaited(relay)) > before;
    };
    for (const client of [one, other, mesh]) assert.equal(await isHeldBack(client), false);
    await limited.change(2 * frame);
    for (const client of [one, other]) assert.equal(await isHeldBack(client), true);
    assert.equal(await isHeldBack(mesh), false);
    await limited.change(0);
    for (const client of [one, other, mesh]) assert.equal(await isHeldBack(client), false);
  },
);

perRelay(
  "103. Given a limited flood, then the sender is slowed by TCP, no packet is dropped for rate reasons, other clients unaffected.",
  {},
  async (t, kind) => {
    const { relay, enter } = await startLimited(t, kind, 64 * frame);
    const [flooder, sink, cathy, dave] = [await enter(), await enter(), await enter(), await enter()];
    const frames = Array.from({ length: 128 }, (_, index) =>
      encodeSendPacket(sink.key, Buffer.alloc(packet.length, index)),
    );
    const started = performance.now();
    flooder.write(Buffer.concat(frames));
    const arrived = (async () => {
      for (const index of frames.keys()) await sink.receives(flooder, Buffer.alloc(packet.length, index));
      return (performance.now() - started) / 1_000;
    })();
    let turns = 0;
    const flowing = { over: false };
    const counted = arrived.finally(() => (flowing.over = true));
    while (!flowing.over) {
      cathy.send(dave, `turn ${turns}`);
      await dave.receives(cathy, `turn ${turns}`);
      turns++;
    }
    const seconds = await counted;
    assert.ok(seconds > 1.8, `the flood was through after ${seconds} s`);
    assert.ok(turns > 20, `the others had ${turns} turns`);
    const drops = [...(await readMetrics(relay))].filter(([name]) => name.startsWith("derp_packets_dropped"));
    assert.deepEqual(
      drops.filter(([, count]) => count !== 0),
      [],
    );
  },
);
