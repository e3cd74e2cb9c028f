/** What Tailscale clients say to each other stays between them, although every byte of it goes through the relay. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { connectRelay, type RelayConnection } from "../relay/client/connection.ts";
import { createTrust } from "../relay/client/transport.ts";
import { generatePrivateKey, publicKeyOf } from "../relay/crypto/keys.ts";
import { type RunningRelay, startTestRelay } from "../relay/testing/running-relay.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { countPieces, kindOfPayload, readPayloads, tapPayloads } from "./payload-tap.ts";
import { passTailnetChecks, tailnetProgram, whyNoTailnetCheck } from "./tailnet-check.ts";
import { buildTestMap } from "./test-map.ts";
import { freePort } from "./test-ports.ts";

const patternLength = 1_048_576;
const bulkMb = 5;

test(
  "a relay sees nothing but disco and WireGuard messages, and no piece of what clients transfer",
  { skip: whyNoTailnetCheck, timeout: 300_000 },
  async (t) => {
    const folder = temporaryFolder(t);
    const file = path.join(folder, "payloads");
    using _tap = tapPayloads(file);
    const running = await startTestRelay(t, { hostname: "127.0.0.1" });
    const { relay, hostName, pin: certName, derpPort, stunPort } = running;
    const derpMap = path.join(folder, "derp-map.json");
    const node = { name: "901a", region: 901, hostName, certName, derpPort, stunPort };
    await writeFile(derpMap, JSON.stringify(buildTestMap([node])));
    const pattern = await readPattern(t);
    // `bulk` and `tailscaled` send the pattern from one client to the other and compare each byte.
    await passTailnetChecks(t, derpMap, ["join", "bulk", "ping", "tailscaled"], ["-bulk-mb", `${bulkMb}`]);

    const payloads = readPayloads(file);
    const { disco, other } = relay.core.counters.packetsReceived;
    assert.equal(payloads.length, disco + other, "the tap has missed packets");
    const kinds = Map.groupBy(payloads, kindOfPayload);
    for (const [kind, { length }] of kinds) t.diagnostic(`${length} packets: ${kind}`);
    assert.equal(kinds.get(undefined)?.length, undefined);
    for (const kind of ["disco", "initiation", "response", "data"] as const) assert.ok(kinds.has(kind), kind);
    const data = (kinds.get("data") ?? []).reduce((sum, { length }) => sum + length, 0);
    assert.ok(data > 4 * bulkMb * 1_000_000, `${data} bytes of data: a transfer has gone another way`);
    assert.equal(countPieces(pattern, Buffer.concat(payloads)), 0);

    // The same search finds a part of the pattern, from a multiple of 64 on, where it is plain to see.
    const piece = pattern.subarray(640_000, 641_000);
    await sendPlainly(t, running, piece);
    const all = readPayloads(file);
    assert.equal(all.length, payloads.length + 1);
    assert.equal(all.map(kindOfPayload).indexOf(undefined), payloads.length);
    assert.equal(countPieces(pattern, Buffer.concat(all)), Math.floor(piece.length / 64));
  },
);

/** The first mebibyte of what the checks transfer: `tailnet-check` serves it, as here, from one client to the other. */
async function readPattern(t: TestContext): Promise<Buffer> {
  const address = `127.0.0.1:${await freePort("tcp")}`;
  const server = spawn(tailnetProgram("tailnet-check"), ["_serve", address, "pattern"], {
    stdio: ["pipe", "pipe", "inherit"],
    signal: t.signal,
  });
  server.on("error", () => {}); // Of the signal, at the latest when the test has ended.
  for await (const line of server.stdout) if (String(line).startsWith("READY")) break;
  const answer = await fetch(`http://${address}/bulk?seed=1&n=${patternLength}`);
  const pattern = Buffer.from(await answer.arrayBuffer());
  server.stdin.end();
  assert.equal(pattern.length, patternLength);
  return pattern;
}

/** Has a client of our own send a packet as it is to another. */
async function sendPlainly(t: TestContext, relay: RunningRelay, packet: Buffer): Promise<void> {
  const join = (privateKey = generatePrivateKey()): Promise<RelayConnection> =>
    connectRelay({
      endpoint: { address: "127.0.0.1", port: relay.derpPort },
      identity: { hostName: relay.hostName, certName: relay.pin },
      trust: createTrust(),
      privateKey,
      signal: t.signal,
    });
  const bobsKey = generatePrivateKey();
  await using alice = await join();
  await using bob = await join(bobsKey);
  alice.send(publicKeyOf(bobsKey), packet);
  const received = await bob.receive(t.signal);
  assert.deepEqual(received.type === "packet" && received.packet, packet);
}
