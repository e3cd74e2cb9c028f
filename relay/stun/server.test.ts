import assert from "node:assert/strict";
import { createSocket, Socket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import test, { type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { KitError } from "../errors.ts";
import { decodeBindingResponse, encodeBindingRequest } from "./message.ts";
import { createStunCounters, startStunServer, type StunServerOptions } from "./server.ts";

const transactionId = Buffer.from("0102030405060708090a0b0c", "hex");
const request = encodeBindingRequest(transactionId);
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);

/** A server at a free port, its counters and its log. */
async function startServer(host: string | undefined, options: Partial<StunServerOptions> = {}) {
  const counters = createStunCounters();
  const log: string[] = [];
  const server = await startStunServer({
    host,
    port: 0,
    counters,
    log: (message) => log.push(message),
    ...options,
  });
  return { server, counters, log, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A client's socket on loopback, closed when the test ends. */
async function openClient(t: TestContext, host = "127.0.0.1"): Promise<Socket> {
  const client = createSocket(host === "::1" ? "udp6" : "udp4");
  t.after(() => client.close());
  client.bind(0, host);
  await once(client, "listening");
  return client;
}

/** Sends datagrams, of which the last is a request, and waits for the first answer. */
async function ask(client: Socket, port: number, ...datagrams: readonly Uint8Array[]) {
  const answer = new Promise<Buffer>((resolve) => {
    client.once("message", resolve);
  });
  for (const datagram of datagrams) client.send(datagram, port, client.address().address);
  return decodeBindingResponse(await answer);
}

/** The UDP sockets that are made while the test runs, in order. */
function collectSockets(t: TestContext): readonly Socket[] {
  const sockets: Socket[] = [];
  const collect = (message: unknown): void => {
    if (
      typeof message === "object" &&
      message !== null &&
      "socket" in message &&
      message.socket instanceof Socket
    ) {
      sockets.push(message.socket);
    }
  };
  subscribe("udp.socket", collect);
  t.after(() => unsubscribe("udp.socket", collect));
  return sockets;
}

test("a client learns its own address and port", async (t) => {
  await using running = await startServer("127.0.0.1");
  const client = await openClient(t);
  const answer = await ask(client, running.server.address.port, request);
  assert.deepEqual(answer, { transactionId, address: "127.0.0.1", port: client.address().port });
  assert.deepEqual(running.counters, { ...createStunCounters(), success: 1, ipv4: 1 });
});

test("107. what is no request of a Tailscale client is counted and not answered", async (t) => {
  await using running = await startServer("127.0.0.1");
  const client = await openClient(t);
  const wrongFingerprint = Buffer.from(request).fill(0, 39);
  const noise = [Buffer.alloc(0), Buffer.from("hello"), request.subarray(0, 20), wrongFingerprint];
  const answer = await ask(client, running.server.address.port, ...noise, request);
  assert.deepEqual(answer?.transactionId, transactionId);
  assert.deepEqual(running.counters, { ...createStunCounters(), notStun: noise.length, success: 1, ipv4: 1 });
});

test(
  "a server without a host answers IPv4 and IPv6 from one port",
  { skip: !hasIpv6 && "no IPv6 here" },
  async (t) => {
    await using running = await startServer(undefined);
    for (const host of ["127.0.0.1", "::1"]) {
      const client = await openClient(t, host);
      const answer = await ask(client, running.server.address.port, request);
      assert.deepEqual(answer, { transactionId, address: host, port: client.address().port });
    }
    assert.deepEqual(running.counters, { ...createStunCounters(), success: 2, ipv4: 1, ipv6: 1 });
  },
);

test("while it is to be silent, requests are counted as that alone, and what is none as ever", async (t) => {
  let silent = true;
  await using running = await startServer("127.0.0.1", { isSilent: () => silent });
  const { port } = running.server.address;
  const client = await openClient(t);
  const noise = await openClient(t);
  noise.send("hello", port, "127.0.0.1");
  client.send(request, port, "127.0.0.1");
  while (running.counters.silenced + running.counters.notStun < 2) await setImmediate();
  silent = false;
  const later = Buffer.alloc(12, 7);
  assert.deepEqual((await ask(client, port, encodeBindingRequest(later)))?.transactionId, later);
  assert.deepEqual(running.counters, {
    ...createStunCounters(),
    silenced: 1,
    notStun: 1,
    success: 1,
    ipv4: 1,
  });
});

test("the relay's own probe is answered in any case, and not counted", async (t) => {
  const probe = await openClient(t);
  await using running = await startServer("127.0.0.1", {
    isSilent: () => true,
    isOwnProbe: (address, port) => address === "127.0.0.1" && port === probe.address().port,
  });
  assert.ok(await ask(probe, running.server.address.port, request));
  await setImmediate();
  assert.deepEqual(running.counters, createStunCounters());
});

test("a request that claims to come from port 0 is dropped", async (t) => {
  const sockets = collectSockets(t);
  await using running = await startServer("127.0.0.1");
  sockets[0]?.emit("message", request, {
    address: "192.0.2.1",
    family: "IPv4",
    port: 0,
    size: request.length,
  });
  assert.deepEqual(running.counters, { ...createStunCounters(), writeError: 1, ipv4: 1 });
});

test("after a read error the server pauses for a second and goes on at the same port", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sockets = collectSockets(t);
  await using running = await startServer("127.0.0.1");
  const [first] = sockets;
  assert.ok(first);
  const closed = new Promise<void>((resolve) => {
    first.once("close", resolve);
  });
  first.emit("error", new Error("recvmsg ENOMEM"));
  await closed;
  await setImmediate();
  assert.equal(running.counters.readError, 1);
  assert.match(running.log.join("\n"), /recvmsg ENOMEM/);

  t.mock.timers.tick(999);
  assert.equal(sockets.length, 1);
  t.mock.timers.tick(1);
  await setImmediate();
  assert.equal(sockets.length, 2);
  const client = await openClient(t);
  assert.ok(await ask(client, running.server.address.port, request));
});

test("a server that is stopped while it pauses stays stopped", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sockets = collectSockets(t);
  const running = await startServer("127.0.0.1");
  sockets[0]?.emit("error", new Error("recvmsg ENOMEM"));
  await running.server[Symbol.asyncDispose]();
  assert.equal(sockets.length, 1);
});

test("a taken port is a port-in-use error that names it", async () => {
  await using running = await startServer("127.0.0.1");
  const { port } = running.server.address;
  await assert.rejects(
    startStunServer({ host: "127.0.0.1", port, counters: createStunCounters(), log: () => {} }),
    (error) =>
      error instanceof KitError && error.code === "port-in-use" && error.message.includes(String(port)),
  );
});

test("an address that is not this machine's is a listen-failed error", async () => {
  await assert.rejects(
    startStunServer({ host: "192.0.2.1", port: 0, counters: createStunCounters(), log: () => {} }),
    (error) => error instanceof KitError && error.code === "listen-failed",
  );
});
