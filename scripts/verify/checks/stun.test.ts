import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { StunSilence } from "../../../relay/client/stun.ts";
import { decodeBindingRequest, encodeBindingResponse } from "../../../relay/stun/message.ts";
import { createStunCounters, startStunServer } from "../../../relay/stun/server.ts";
import { listenUdp } from "../testing/servers.ts";
import { checkStun } from "./stun.ts";

const at = (port: number, detoured = false) => ({ address: "127.0.0.1", port, detoured });

/** A STUN server that answers each request in its own way. */
const answering = (
  t: TestContext,
  answer: (transactionId: Buffer, port: number, turn: number) => Buffer | undefined,
): Promise<number> => {
  let turn = 0;
  return listenUdp(t, (datagram, from) => {
    const transactionId = decodeBindingRequest(datagram);
    assert.ok(transactionId);
    return answer(transactionId, from.port, turn++);
  });
};

test("the relay's STUN server tells the socket's own address", async (t) => {
  const options = { host: "127.0.0.1", port: 0, counters: createStunCounters(), log: () => {} };
  await using server = await startStunServer(options);
  const { detail } = await checkStun(at(server.address.port), t.signal);
  assert.match(detail, /^it says 127\.0\.0\.1:\d+, our own address$/);
});

test("a lost request is repeated", async (t) => {
  const port = await answering(t, (id, from, turn) =>
    turn === 0 ? undefined : encodeBindingResponse(id, "127.0.0.1", from),
  );
  await checkStun(at(port), t.signal);
});

test("without NAT another address or port is wrong", async (t) => {
  const address = await answering(t, (id, port) => encodeBindingResponse(id, "192.0.2.1", port));
  await assert.rejects(
    checkStun(at(address), t.signal),
    /it says 192\.0\.2\.1:\d+, and our own address is 127\.0\.0\.1/,
  );
  const port = await answering(t, (id, from) => encodeBindingResponse(id, "127.0.0.1", from ^ 1));
  await assert.rejects(checkStun(at(port), t.signal), /and our own address is/);
  const family = await answering(t, (id, from) => encodeBindingResponse(id, "2001:db8::1", from));
  await assert.rejects(checkStun(at(family), t.signal), /an address of the other family/);
});

test("behind --connect-to a forwarder may have changed the address", async (t) => {
  const port = await answering(t, (id) => encodeBindingResponse(id, "192.0.2.1", 1));
  const { detail } = await checkStun(at(port, true), t.signal);
  assert.match(detail, /192\.0\.2\.1:1; behind --connect-to/);
});

test("silence, a wrong transaction id and something else than STUN are told apart", async (t) => {
  const ask = async (answer: (id: Buffer, port: number) => Buffer | undefined): Promise<void> => {
    await checkStun(at(await answering(t, answer)), AbortSignal.timeout(300));
  };
  await assert.rejects(
    ask(() => undefined),
    StunSilence,
  );
  await assert.rejects(
    ask((_, port) => encodeBindingResponse(Buffer.alloc(12, 7), "127.0.0.1", port)),
    /another transaction id/,
  );
  await assert.rejects(
    ask(() => Buffer.from("hello")),
    /not STUN/,
  );
});

test("a port on which nothing listens is not silence", async (t) => {
  const server = await startStunServer({
    host: "127.0.0.1",
    port: 0,
    counters: createStunCounters(),
    log: () => {},
  });
  await server[Symbol.asyncDispose]();
  await assert.rejects(
    checkStun(at(server.address.port), t.signal),
    /no STUN at UDP 127\.0\.0\.1:\d+: connection refused/,
  );
});
