import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createTrust } from "../client/transport.ts";
import { parseKeyFile } from "../crypto/key-file.ts";
import type { NodeKey } from "../crypto/keys.ts";
import { joinRelay, type RunningRelay, startTestRelay } from "../testing/running-relay.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { startMeshClient } from "./mesh-client.ts";

const meshKey = "0123456789abcdef".repeat(4);
const trust = createTrust();

async function meshRelay(t: TestContext): Promise<RunningRelay> {
  const file = join(temporaryFolder(t), "mesh.key");
  await writeFile(file, `${meshKey}\n`);
  return startTestRelay(t, { stun: false, meshPskFile: file });
}

/** Connects `from` to `to` as -mesh-with does. */
async function mesh(
  t: TestContext,
  from: RunningRelay,
  to: RunningRelay,
  log: string[] = [],
): Promise<AsyncDisposable> {
  const keyFile = join(from.folder, "derper.key");
  const client = startMeshClient({
    core: from.relay.core,
    peer: {
      identity: { hostName: to.hostName, certName: to.pin },
      dialHost: "127.0.0.1",
      port: to.derpPort,
    },
    privateKey: parseKeyFile(await readFile(keyFile, "utf8"), keyFile),
    meshKey,
    trust,
    log: (line) => log.push(line),
    now: () => performance.now(),
    retryMs: 20,
  });
  t.after(() => client[Symbol.asyncDispose]());
  return client;
}

/** Waits until a condition holds; the test's own time limit ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test("90. clients of two meshed relays reach each other, and learn when the other leaves", async (t) => {
  const [one, two] = [await meshRelay(t), await meshRelay(t)];
  await mesh(t, one, two);
  await mesh(t, two, one);
  const [alice, bob] = [await joinRelay(t, one), await joinRelay(t, two)];
  const knows = (relay: RunningRelay, key: NodeKey) =>
    relay.relay.core.router.find(key, 0)?.forwarder !== undefined;
  await until(() => knows(one, bob.key) && knows(two, alice.key));
  alice.send(bob.key, Buffer.from("to bob"));
  bob.send(alice.key, Buffer.alloc(65_536, 0x62));
  assert.deepEqual(await bob.receive(t.signal), {
    type: "packet",
    source: alice.key,
    packet: Buffer.from("to bob"),
  });
  assert.deepEqual(await alice.receive(t.signal), {
    type: "packet",
    source: bob.key,
    packet: Buffer.alloc(65_536, 0x62),
  });
  await alice[Symbol.asyncDispose]();
  assert.deepEqual(await bob.receive(t.signal), {
    type: "peerGone",
    key: alice.key,
    reason: "disconnected",
  });
});

test("91. a link that breaks takes its clients out of the region, is retried, and they reappear", async (t) => {
  const [one, two] = [await meshRelay(t), await meshRelay(t)];
  const log: string[] = [];
  await mesh(t, one, two, log);
  const bob = await joinRelay(t, two);
  const known = (): boolean => one.relay.core.router.find(bob.key, 0) !== undefined;
  await until(known);
  const links = two.relay.core.router.find(one.relay.publicKey, 0)?.connections ?? [];
  for (const connection of links) connection.expel();
  await until(() => !known());
  await until(known);
  assert.deepEqual(
    log.map((line) => line.replace(/^mesh peer [^:]+: /, "")),
    ["connected", "the relay closed the connection", "connected"],
  );
});

test("92. a relay that is told to mesh with itself finds out and stays away for good", async (t) => {
  const one = await meshRelay(t);
  const log: string[] = [];
  await mesh(t, one, one, log);
  await until(() => log.length > 0);
  assert.match(log[0] ?? "", /this is us/);
  await until(() => one.relay.connections === 0);
});

test("a mesh peer with another certificate is not spoken to", async (t) => {
  const [one, two] = [await meshRelay(t), await meshRelay(t)];
  const log: string[] = [];
  await mesh(t, one, { ...two, pin: `sha256-raw:${"0".repeat(64)}` }, log);
  await until(() => log.length > 0);
  assert.match(log[0] ?? "", /pin/);
  assert.equal(two.relay.core.counters.accepts, 0);
});

test("a mesh peer that is not there is tried again and again, and the reason is logged once", async (t) => {
  const one = await meshRelay(t);
  let attempts = 0;
  const refuser = createServer((socket) => {
    attempts++;
    socket.destroy();
  });
  await once(refuser.listen(0, "127.0.0.1"), "listening");
  t.after(() => refuser.close());
  const log: string[] = [];
  await mesh(t, one, { ...one, derpPort: (refuser.address() as AddressInfo).port }, log);
  await until(() => attempts >= 3);
  assert.equal(log.length, 1);
});

test("94. -mesh-with without a mesh key ends the start", async (t) => {
  await assert.rejects(startTestRelay(t, { meshWith: "a.example", meshPskFile: "" }), /mistakes/);
  await assert.rejects(startTestRelay(t, { meshPskFile: "/nowhere/mesh.key" }), /mesh key cannot be read/);
});
